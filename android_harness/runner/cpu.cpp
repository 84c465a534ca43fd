#include "cpu.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "backend.h"

namespace edgedeploy {
namespace {

constexpr int kNotTried = -2;

int64_t clock_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

int64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }
int64_t unix_ns() { return clock_ns(CLOCK_REALTIME); }

int64_t peak_rss_bytes() {
  std::FILE* file = std::fopen("/proc/self/status", "re");
  if (file == nullptr) return -1;
  int64_t bytes = -1;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    long kib = 0;
    if (std::sscanf(line, "VmHWM: %ld kB", &kib) == 1) bytes = int64_t{kib} * 1024;
  }
  std::fclose(file);
  return bytes;
}

void pin_to(const std::string& mask) {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cpu = 0;
  const size_t first = mask.rfind("0x", 0) == 0 ? 2 : 0;
  if (mask.size() == first || mask.size() - first > CPU_SETSIZE / 4)
    throw Failure("arguments", "--cpu-mask is a mask in hexadecimal, not '" + mask + "'");
  for (size_t i = mask.size(); i-- > first; cpu += 4) {
    const char digit[] = {mask[i], 0};
    char* end = nullptr;
    const unsigned long bits = std::strtoul(digit, &end, 16);
    if (*end != 0) throw Failure("arguments", "--cpu-mask is a mask in hexadecimal, not '" + mask + "'");
    for (int bit = 0; bit < 4; bit++)
      if (bits >> bit & 1) CPU_SET(cpu + bit, &set);
  }
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    throw Failure("arguments", "--cpu-mask " + mask + ": " + std::strerror(errno));
}

CpuReader::CpuReader() {
  for (int& fd : fds_) fd = kNotTried;
}

CpuReader::~CpuReader() {
  for (int fd : fds_)
    if (fd >= 0) close(fd);
}

CpuState CpuReader::read() {
  CpuState state;
  const int cpu = sched_getcpu();
  if (cpu < 0) return state;
  state.cpu = cpu;
  if (cpu >= kMaxCpus) return state;
  if (fds_[cpu] == kNotTried) {
    char path[96];
    std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", cpu);
    fds_[cpu] = open(path, O_RDONLY | O_CLOEXEC);
  }
  char text[32];
  if (fds_[cpu] < 0) return state;
  const ssize_t size = pread(fds_[cpu], text, sizeof text - 1, 0);
  if (size <= 0) return state;
  text[size] = 0;
  char* end = nullptr;
  const long long khz = std::strtoll(text, &end, 10);
  if (end != text && khz > 0) state.khz = khz;
  return state;
}

}  // namespace edgedeploy
