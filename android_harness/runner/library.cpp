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

}  // namespace edgedeploy
