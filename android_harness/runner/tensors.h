// The one file format of the runner: several tensors in a file (PROTOCOL.md, "Tensor files").
#pragma once

#include <string>
#include <vector>

#include "backend.h"

namespace edgedeploy {

std::vector<Tensor> read_tensors(const std::string& path);
// Writes beside the path and renames, so that a reader sees the whole file or none.
void write_tensors(const std::string& path, const std::vector<Tensor>& tensors);

}  // namespace edgedeploy
