// ExecuTorch has a C++ API and no C one: its backend is the plug-in of executorch_plugin.cpp, which is loaded by name.
#include "backend.h"
#include "library.h"
#include "registry.h"

namespace edgedeploy {
namespace {

std::unique_ptr<Backend> make(const LoadOptions& options) {
  void* plugin = open_library(options.library.empty() ? "libedgedeploy_executorch.so" : options.library);
  MakeBackend make_backend = nullptr;
  bind(plugin, "edgedeploy_make_backend", make_backend);
  std::unique_ptr<Backend> backend(make_backend(kPluginAbi));
  if (backend == nullptr) throw Failure("runtime", "the ExecuTorch plug-in was built for another runner");
  return backend;
}

const RegisterBackend registration({"executorch", make});

}  // namespace
}  // namespace edgedeploy
