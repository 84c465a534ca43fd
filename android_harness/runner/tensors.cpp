#include "tensors.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>

namespace edgedeploy {
namespace {

constexpr char kMagic[] = "edgedeploy-tensors 1";
constexpr size_t kMaxHeaderLine = 1024;
constexpr size_t kMaxTensors = 65536;
constexpr size_t kMaxRank = 16;

struct DTypeRow {
  DType dtype;
  const char* name;
  size_t size;
};
constexpr DTypeRow kDTypes[] = {
    {DType::kBool, "bool", 1},       {DType::kInt8, "int8", 1},       {DType::kUInt8, "uint8", 1},
    {DType::kInt16, "int16", 2},     {DType::kUInt16, "uint16", 2},   {DType::kInt32, "int32", 4},
    {DType::kUInt32, "uint32", 4},   {DType::kInt64, "int64", 8},     {DType::kUInt64, "uint64", 8},
    {DType::kFloat16, "float16", 2}, {DType::kFloat32, "float32", 4}, {DType::kFloat64, "float64", 8},
};

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); i++) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

TensorSpec parse_header_line(const std::string& line, const std::string& path) {
  std::istringstream words(line);
  std::string name;
  size_t rank = 0;
  TensorSpec spec;
  if (!(words >> name) || !parse_dtype(name, spec.dtype))
    throw Failure("inputs", path + ": unknown dtype in the header line '" + line + "'");
  if (!(words >> rank) || rank > kMaxRank) throw Failure("inputs", path + ": bad rank in the header line '" + line + "'");
  for (size_t i = 0; i < rank; i++) {
    int64_t length = 0;
    if (!(words >> length) || length < 0)
      throw Failure("inputs", path + ": bad dimension in the header line '" + line + "'");
    spec.shape.push_back(length);
  }
  std::string rest;
  if (words >> rest) throw Failure("inputs", path + ": more dimensions than the rank in the header line '" + line + "'");
  return spec;
}

}  // namespace

const char* dtype_name(DType dtype) {
  for (const auto& row : kDTypes)
    if (row.dtype == dtype) return row.name;
  return "?";
}

size_t dtype_size(DType dtype) {
  for (const auto& row : kDTypes)
    if (row.dtype == dtype) return row.size;
  return 0;
}

bool parse_dtype(const std::string& name, DType& dtype) {
  for (const auto& row : kDTypes)
    if (name == row.name) {
      dtype = row.dtype;
      return true;
    }
  return false;
}

size_t TensorSpec::size_bytes() const {
  size_t size = dtype_size(dtype);
  for (int64_t length : shape) {
    if (length < 0) throw std::length_error("a tensor of shape " + shape_text(shape) + " has no size");
    if (length != 0 && size > std::numeric_limits<size_t>::max() / 4 / static_cast<size_t>(length))
      throw std::length_error("a tensor of shape " + shape_text(shape) + " is too large");
    size *= static_cast<size_t>(length);
  }
  return size;
}

Tensor::Tensor(TensorSpec spec)
    : spec_(std::move(spec)), size_(spec_.size_bytes()), memory_(new uint8_t[size_ + 128]()) {
  aligned_ = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(memory_.get()) + 63) & ~uintptr_t{63});
}

void check_inputs(const std::vector<TensorSpec>& wanted, const Tensor* tensors, size_t count) {
  if (count != wanted.size())
    throw Failure("inputs", "the model takes " + std::to_string(wanted.size()) + " inputs, " + std::to_string(count) +
                                " were given");
  for (size_t i = 0; i < count; i++) {
    const TensorSpec& given = tensors[i].spec();
    bool fits = given.dtype == wanted[i].dtype && given.shape.size() == wanted[i].shape.size();
    for (size_t d = 0; fits && d < given.shape.size(); d++)
      fits = wanted[i].shape[d] < 0 || wanted[i].shape[d] == given.shape[d];
    if (!fits)
      throw Failure("inputs", "input " + std::to_string(i) + " ('" + wanted[i].name + "') is " +
                                  dtype_name(wanted[i].dtype) + shape_text(wanted[i].shape) + ", given was " +
                                  dtype_name(given.dtype) + shape_text(given.shape));
  }
}

std::vector<Tensor> read_tensors(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw Failure("inputs", path + ": " + std::strerror(errno));
  const std::streamoff end = file.tellg();
  file.seekg(0);
  const auto next_line = [&](std::string& line) {
    line.clear();
    for (char c; line.size() <= kMaxHeaderLine && file.get(c);) {
      if (c == '\n') return;
      line += c;
    }
    throw Failure("inputs", path + " is not a tensor file: its header does not end");
  };
  std::string line;
  next_line(line);
  if (line != kMagic) throw Failure("inputs", path + " is not a tensor file: it does not start with '" + kMagic + "'");
  std::vector<TensorSpec> specs;
  for (next_line(line); !line.empty(); next_line(line)) {
    if (specs.size() == kMaxTensors) throw Failure("inputs", path + ": too many tensors");
    specs.push_back(parse_header_line(line, path));
  }
  // The whole size is checked before anything is allocated: a wrong header must not ask for a terabyte.
  size_t total = 0;
  for (const auto& spec : specs) {
    size_t size = 0;
    try {
      size = spec.size_bytes();
    } catch (const std::length_error& error) {
      throw Failure("inputs", path + ": " + error.what());
    }
    if (size > std::numeric_limits<size_t>::max() - total) throw Failure("inputs", path + ": too large");
    total += size;
  }
  const auto present = static_cast<size_t>(end - file.tellg());
  if (total != present)
    throw Failure("inputs", path + ": the header declares " + std::to_string(total) + " bytes of data, there are " +
                                std::to_string(present));
  std::vector<Tensor> tensors;
  for (auto& spec : specs) {
    tensors.emplace_back(std::move(spec));
    if (!file.read(reinterpret_cast<char*>(tensors.back().data()),
                   static_cast<std::streamsize>(tensors.back().size_bytes())))
      throw Failure("inputs", path + " could not be read to its end");
  }
  return tensors;
}

void write_tensors(const std::string& path, const std::vector<Tensor>& tensors) {
  const std::string temporary = path + ".tmp";
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    if (!file) throw Failure("outputs", temporary + ": " + std::strerror(errno));
    file << kMagic << '\n';
    for (const auto& tensor : tensors) {
      file << dtype_name(tensor.spec().dtype) << ' ' << tensor.spec().shape.size();
      for (int64_t length : tensor.spec().shape) file << ' ' << length;
      file << '\n';
    }
    file << '\n';
    for (const auto& tensor : tensors)
      file.write(reinterpret_cast<const char*>(tensor.data()), static_cast<std::streamsize>(tensor.size_bytes()));
    file.close();
    if (!file) {
      const std::string reason = std::strerror(errno);
      std::remove(temporary.c_str());
      throw Failure("outputs", path + " could not be written: " + reason);
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) throw Failure("outputs", path + ": " + std::strerror(errno));
}

}  // namespace edgedeploy
