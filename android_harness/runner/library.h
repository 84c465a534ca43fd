// Shared libraries that are loaded at run time.
#pragma once

#include <string>

namespace edgedeploy {

// dlopen. Throws Failure with the loader's message.
void* open_library(const std::string& path);
// dlsym. Throws Failure where the symbol is missing.
void* symbol(void* library, const char* name);

template <typename Function>
void bind(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(symbol(library, name));
}

}  // namespace edgedeploy
