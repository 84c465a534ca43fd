// The measuring loop: the same for every runtime and for every device.
#pragma once

#include <vector>

#include "backend.h"
#include "cpu.h"

namespace edgedeploy {

// One inference, by column.
struct Samples {
  std::vector<int64_t> start_ns, ns, cpu_before, cpu_after, khz_before, khz_after;
};

// Runs at least `num_runs` times and for at least `min_secs`, but starts no run after `max_secs`.
Samples measure(Backend& backend, CpuReader& cpu, int num_runs, double min_secs, double max_secs);

}  // namespace edgedeploy
