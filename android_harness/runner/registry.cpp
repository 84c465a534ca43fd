#include "registry.h"

#include <map>
#include <utility>

namespace edgedeploy {
namespace {

// A function's variable, because the order in which files initialise their static variables is not defined.
std::map<std::string, BackendEntry>& entries() {
  static std::map<std::string, BackendEntry> by_runtime;
  return by_runtime;
}

}  // namespace

RegisterBackend::RegisterBackend(BackendEntry entry) {
  const std::string runtime = entry.runtime;
  entries().emplace(runtime, std::move(entry));
}

const BackendEntry& find_backend(const std::string& runtime) {
  const auto found = entries().find(runtime);
  if (found != entries().end()) return found->second;
  std::string names;
  for (const auto& entry : entries()) names += (names.empty() ? "" : ", ") + entry.first;
  throw Failure("arguments", "unknown runtime '" + runtime + "'; this runner has: " + names);
}

}  // namespace edgedeploy
