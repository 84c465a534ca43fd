// The command line (PROTOCOL.md, "Arguments").
#pragma once

#include <string>

#include "backend.h"

namespace edgedeploy {

struct Options {
  std::string runtime;
  std::string inputs;
  std::string outputs;
  std::string cpu_mask;
  LoadOptions load;
  int warmup_runs = 1;
  int num_runs = 50;
  double min_secs = 0;
  double max_secs = 150;
};

constexpr int kMaxRuns = 1'000'000;

// Throws Failure with stage "arguments".
Options parse_options(int argc, char** argv);

}  // namespace edgedeploy
