#include "options.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>

#include "registry.h"

namespace edgedeploy {
namespace {

int integer(const std::string& name, const std::string& text, int low, int high) {
  char* end = nullptr;
  errno = 0;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != 0 || errno != 0 || value < low || value > high)
    throw Failure("arguments", name + " takes a number from " + std::to_string(low) + " to " + std::to_string(high) +
                                   ", not '" + text + "'");
  return static_cast<int>(value);
}

double seconds(const std::string& name, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != 0 || !std::isfinite(value) || value < 0)
    throw Failure("arguments", name + " takes seconds, not '" + text + "'");
  return value;
}

}  // namespace

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i++) {
    std::string name = argv[i], value;
    if (name == "--profile") {
      options.load.profile = true;
      continue;
    }
    const size_t equals = name.find('=');
    if (equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      throw Failure("arguments", name + " needs a value, or is unknown");
    }
    if (name == "--runtime") options.runtime = value;
    else if (name == "--model") options.load.model = value;
    else if (name == "--inputs") options.inputs = value;
    else if (name == "--outputs") options.outputs = value;
    else if (name == "--library") options.load.library = value;
    else if (name == "--scratch") options.load.scratch = value;
    else if (name == "--cpu-mask") options.cpu_mask = value;
    else if (name == "--threads") options.load.threads = integer(name, value, 1, 256);
    else if (name == "--warmup-runs") options.warmup_runs = integer(name, value, 0, kMaxRuns);
    else if (name == "--num-runs") options.num_runs = integer(name, value, 0, kMaxRuns);
    else if (name == "--min-secs") options.min_secs = seconds(name, value);
    else if (name == "--max-secs") options.max_secs = seconds(name, value);
    else throw Failure("arguments", "unknown argument '" + name + "'");
  }
  if (options.runtime.empty()) throw Failure("arguments", "--runtime is missing");
  if (options.load.model.empty() && find_backend(options.runtime).needs_model)
    throw Failure("arguments", "--model is missing");
  if (options.inputs.empty()) throw Failure("arguments", "--inputs is missing");
  if (options.load.profile && options.load.scratch.empty()) throw Failure("arguments", "--profile needs --scratch");
  return options;
}

}  // namespace edgedeploy
