// The answer: JSON lines on what was standard output when the program started.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend.h"

namespace edgedeploy {

// A small JSON writer: `Json().add("event", "start").add("threads", 1).text()`.
class Json {
 public:
  Json& add(const char* key, const std::string& value);
  Json& add(const char* key, const char* value) { return add(key, std::string(value)); }
  Json& add(const char* key, int64_t value) { return raw(key, std::to_string(value)); }
  Json& add_or_null(const char* key, int64_t value) { return raw(key, value < 0 ? "null" : std::to_string(value)); }
  Json& add(const char* key, const std::vector<TensorSpec>& specs);
  // A negative entry is written as null, and a column of nothing else as one null.
  Json& add(const char* key, const std::vector<int64_t>& column);
  Json& add(const char* key, const std::vector<OperatorTime>& operators);
  std::string text() const { return "{" + body_ + "}"; }

 private:
  Json& raw(const char* key, const std::string& value);
  std::string body_;
};

// Reserves standard output for the answer: whatever a runtime prints there goes to standard error from now on.
// Also turns a crash (a signal raised in a runtime) into an `error` event with the stage.
void start_answer();
// The stage that a later crash is reported with. The text must outlive the program.
void set_stage(const char* stage);
const char* stage();
void answer(const Json& json);
// Ends the program with exit code 5 where the reader of the answer is gone: a measurement that nobody waits for must not
// keep a device busy. Costs one system call.
void exit_if_reader_is_gone();

}  // namespace edgedeploy
