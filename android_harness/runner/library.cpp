#include "library.h"

#include <dlfcn.h>

#include "backend.h"

namespace edgedeploy {

void* open_library(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw Failure("runtime", dlerror());
  return library;
}

void* symbol(void* library, const char* name) {
  void* address = dlsym(library, name);
  if (address == nullptr) throw Failure("runtime", std::string("the runtime's library has no '") + name + "'");
  return address;
}

std::unique_ptr<Backend> make_executorch_backend(const LoadOptions& options) {
  void* plugin = open_library(options.library.empty() ? "libedgedeploy_executorch.so" : options.library);
  MakeBackend make = nullptr;
  bind(plugin, "edgedeploy_make_backend", make);
  std::unique_ptr<Backend> backend(make(kPluginAbi));
  if (backend == nullptr) throw Failure("runtime", "the ExecuTorch plug-in was built for another runner");
  return backend;
}

}  // namespace edgedeploy
