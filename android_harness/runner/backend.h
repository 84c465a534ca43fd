// The interface between the runner and a runtime: one subclass per runtime. The measuring loop uses nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace edgedeploy {

enum class DType { kBool, kInt8, kUInt8, kInt16, kUInt16, kInt32, kUInt32, kInt64, kUInt64, kFloat16, kFloat32, kFloat64 };

// NumPy's name of a dtype, and its size in bytes.
const char* dtype_name(DType dtype);
size_t dtype_size(DType dtype);
// False where there is no dtype of that name.
bool parse_dtype(const std::string& name, DType& dtype);

struct TensorSpec {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;  // -1: any length

  // Bytes of a dense tensor. Throws where the shape is dynamic or its size does not fit.
  size_t size_bytes() const;
};

// A dense little-endian tensor. The memory starts at a multiple of 64 and has 64 readable bytes behind its end,
// because XNNPACK's kernels read whole vectors.
class Tensor {
 public:
  explicit Tensor(TensorSpec spec);
  const TensorSpec& spec() const { return spec_; }
  uint8_t* data() const { return aligned_; }
  size_t size_bytes() const { return size_; }

 private:
  TensorSpec spec_;
  size_t size_;
  std::unique_ptr<uint8_t[]> memory_;
  uint8_t* aligned_;
};

enum class Delegated { kNo, kYes, kNoDelegates };

// One operator of a profile, summed over the runs.
struct OperatorTime {
  std::string name;   // of the node, as the runtime reports it; several may share one
  std::string type;   // of the operator, or "" where the runtime does not report it
  Delegated delegated = Delegated::kNoDelegates;
  int64_t calls = 0;
  int64_t total_ns = 0;
};

struct LoadOptions {
  std::string model;
  std::string library;  // the runtime's shared library, "" for the name that the bundle uses
  std::string scratch;  // a folder for what a runtime must write (ONNX Runtime's profile)
  int threads = 1;
  bool profile = false;
};

// A failure that the answer reports in its `error` event.
struct Failure : std::runtime_error {
  Failure(std::string stage_, const std::string& message) : std::runtime_error(message), stage(std::move(stage_)) {}
  std::string stage;
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Loads the shared library of the runtime; returns its version, or "" where it reports none.
  virtual std::string open(const LoadOptions& options) = 0;
  // Loads the model, ready to run.
  virtual void load(const LoadOptions& options) = 0;
  virtual const std::vector<TensorSpec>& inputs() const = 0;
  virtual const std::vector<TensorSpec>& outputs() const = 0;
  // Sets the inputs of the next runs. The tensors stay alive until the next call.
  virtual void set_inputs(const Tensor* tensors, size_t count) = 0;
  virtual void run() = 0;
  // Copies the outputs of the last run.
  virtual std::vector<Tensor> read_outputs() = 0;
  // Around the measured runs, only where LoadOptions::profile was set.
  virtual void start_profile() {}
  virtual std::vector<OperatorTime> stop_profile() { return {}; }
};

// Throws unless the given tensors fit the model's inputs in number, dtype and every fixed dimension.
void check_inputs(const std::vector<TensorSpec>& wanted, const Tensor* tensors, size_t count);

// What libedgedeploy_executorch.so exports, as `edgedeploy_make_backend`. Bump the number when this header changes.
constexpr int kPluginAbi = 2;
using MakeBackend = Backend* (*)(int plugin_abi);

}  // namespace edgedeploy
