// The processor as a process sees it. What cannot be read is -1, never a guess.
#pragma once

#include <cstdint>
#include <string>

namespace edgedeploy {

int64_t now_ns();       // monotonic
int64_t unix_ns();      // wall clock
int64_t peak_rss_bytes();
// Restricts this process, and the threads it will start, to the CPUs of a mask in hexadecimal. Throws Failure.
void pin_to(const std::string& mask);

// The CPU that runs this thread and its frequency.
struct CpuState {
  int64_t cpu = -1;
  int64_t khz = -1;
};

// Keeps the sysfs files open, so that a reading is two system calls.
class CpuReader {
 public:
  CpuReader();
  ~CpuReader();
  CpuReader(const CpuReader&) = delete;
  CpuReader& operator=(const CpuReader&) = delete;
  CpuState read();

 private:
  static constexpr int kMaxCpus = 256;
  int fds_[kMaxCpus];
};

}  // namespace edgedeploy
