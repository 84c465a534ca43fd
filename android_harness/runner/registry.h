// The backends that are compiled into this program. Each file `backends/*_backend.cpp` registers its own before main
// begins; nothing else names a runtime. Separate from backend.h, because a plug-in registers nothing here.
#pragma once

#include <memory>
#include <string>

#include "backend.h"

namespace edgedeploy {

struct BackendEntry {
  std::string runtime;  // as `--runtime` takes it
  std::unique_ptr<Backend> (*make)(const LoadOptions& options);
  bool needs_model = true;
};

// Registers a backend; to be defined once per backend, as a variable with static storage duration.
struct RegisterBackend {
  explicit RegisterBackend(BackendEntry entry);
};

// Throws Failure with the registered names where there is no such runtime.
const BackendEntry& find_backend(const std::string& runtime);

}  // namespace edgedeploy
