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
  // Negative entries are told as null; a column of nothing else as one null.
  Json& add(const char* key, const std::vector<int64_t>& column);
  Json& add(const char* key, const std::vector<OperatorTime>& operators);
  std::string text() const { return "{" + body_ + "}"; }

 private:
  Json& raw(const char* key, const std::string& value);
  std::string body_;
};

// Keeps standard output for the answer alone: whatever a runtime prints there goes to standard error from now on.
// Also turns a crash (a signal out of a runtime) into an error line that tells the stage.
void start_answer();
// Tells a later crash where it happened. The text must live on.
void set_stage(const char* stage);
const char* stage();
void answer(const Json& json);
// Ends the program with exit code 5 where the reader of the answer is gone: a measurement that nobody waits for must not
// keep a device busy. Costs one system call.
void stop_if_nobody_listens();

}  // namespace edgedeploy
