#include "measure.h"

#include <algorithm>

#include "answer.h"
#include "options.h"

namespace edgedeploy {
namespace {

// Moves of a number into the zero register: they do nothing, no compiler writes them, and the instruction counter
// (qemu_plugin/insnclass.c) recognises the beginning and the end of an inference by them.
inline void mark_begin() {
#if defined(__aarch64__)
  asm volatile("movz xzr, #0xed01" ::: "memory");
#endif
}
inline void mark_end() {
#if defined(__aarch64__)
  asm volatile("movz xzr, #0xed02" ::: "memory");
#endif
}

constexpr int64_t kReaderCheckIntervalNs = 500'000'000;

}  // namespace

Samples measure(Backend& backend, CpuReader& cpu, int num_runs, double min_secs, double max_secs) {
  Samples samples;
  // Reserved beforehand: no allocation between two inferences of a usual run.
  const auto expected = static_cast<size_t>(std::max(num_runs, 65536));
  for (auto* column : {&samples.start_ns, &samples.ns, &samples.cpu_before, &samples.cpu_after, &samples.khz_before,
                       &samples.khz_after})
    column->reserve(expected);
  const int64_t begin = now_ns();
  int64_t last_check = 0;
  const auto min_ns = static_cast<int64_t>(std::min(min_secs, 1e9) * 1e9);
  const auto max_ns = static_cast<int64_t>(std::min(max_secs, 1e9) * 1e9);
  for (int run = 0; run < kMaxRuns; run++) {
    const int64_t elapsed = now_ns() - begin;
    if (elapsed - last_check > kReaderCheckIntervalNs) {
      last_check = elapsed;
      exit_if_reader_is_gone();
    }
    if ((run >= num_runs && elapsed >= min_ns) || (run > 0 && elapsed >= max_ns)) break;
    const CpuState before = cpu.read();
    const int64_t start = now_ns();
    mark_begin();
    backend.run();
    mark_end();
    const int64_t end = now_ns();
    const CpuState after = cpu.read();
    samples.start_ns.push_back(start);
    samples.ns.push_back(end - start);
    samples.cpu_before.push_back(before.cpu);
    samples.cpu_after.push_back(after.cpu);
    samples.khz_before.push_back(before.khz);
    samples.khz_after.push_back(after.khz);
  }
  return samples;
}

}  // namespace edgedeploy
