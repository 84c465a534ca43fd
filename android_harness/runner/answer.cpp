#include "answer.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <unistd.h>

namespace edgedeploy {
namespace {

constexpr int kReaderGone = 5;
int answer_fd = 1;
const char* volatile current_stage = "start";

void write_all(const char* text, size_t size) {
  while (size > 0) {
    const ssize_t written = write(answer_fd, text, size);
    if (written <= 0) _exit(kReaderGone);
    text += written;
    size -= static_cast<size_t>(written);
  }
}

// Only calls that are safe inside a signal handler.
void report_crash(int signal) {
  char line[256] = "{\"event\":\"error\",\"stage\":\"";
  std::strncat(line, current_stage, 64);
  std::strcat(line, "\",\"message\":\"the runtime crashed with signal ");
  const char digits[] = {static_cast<char>('0' + signal / 10), static_cast<char>('0' + signal % 10), 0};
  std::strcat(line, digits);
  std::strcat(line, "\"}\n");
  write_all(line, std::strlen(line));
  _exit(4);
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20 || c == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      out += escape;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + '"';
}

}  // namespace

Json& Json::raw(const char* key, const std::string& value) {
  if (!body_.empty()) body_ += ',';
  body_ += quoted(key) + ":" + value;
  return *this;
}

Json& Json::add(const char* key, const std::string& value) { return raw(key, quoted(value)); }

Json& Json::add(const char* key, const std::vector<TensorSpec>& specs) {
  std::string list = "[";
  for (const auto& spec : specs) {
    if (list.size() > 1) list += ',';
    std::string shape = "[";
    for (int64_t length : spec.shape) shape += (shape.size() > 1 ? "," : "") + std::to_string(length);
    list += Json().add("name", spec.name).add("dtype", dtype_name(spec.dtype)).raw("shape", shape + "]").text();
  }
  return raw(key, list + "]");
}

Json& Json::add(const char* key, const std::vector<int64_t>& column) {
  bool any = column.empty();
  std::string list = "[";
  for (int64_t value : column) {
    if (list.size() > 1) list += ',';
    list += value < 0 ? "null" : std::to_string(value);
    any = any || value >= 0;
  }
  return raw(key, any ? list + "]" : "null");
}

Json& Json::add(const char* key, const std::vector<OperatorTime>& operators) {
  std::string list = "[";
  for (const auto& op : operators) {
    if (list.size() > 1) list += ',';
    const char* delegated = op.delegated == Delegated::kNoDelegates ? "null"
                            : op.delegated == Delegated::kYes      ? "true"
                                                                   : "false";
    list += Json()
                .add("name", op.name)
                .add("type", op.type)
                .raw("delegated", delegated)
                .add("calls", op.calls)
                .add("total_ns", op.total_ns)
                .text();
  }
  return raw(key, list + "]");
}

void start_answer() {
  answer_fd = dup(STDOUT_FILENO);
  if (answer_fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) _exit(5);
  std::signal(SIGPIPE, SIG_IGN);
  static char stack[64 * 1024];
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_handler = report_crash;
  action.sa_flags = SA_ONSTACK | SA_RESETHAND;
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigaction(signal, &action, nullptr);
}

void set_stage(const char* stage) { current_stage = stage; }
const char* stage() { return current_stage; }

void answer(const Json& json) {
  const std::string line = json.text() + "\n";
  write_all(line.data(), line.size());
}

void exit_if_reader_is_gone() {
  pollfd reader{answer_fd, 0, 0};
  if (poll(&reader, 1, 0) > 0 && (reader.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) _exit(kReaderGone);
}

}  // namespace edgedeploy
