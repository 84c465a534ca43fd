// ONNX Runtime through its C API, on the CPU provider.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "backend.h"
#include "library.h"
#include "onnxruntime_abi.h"
#include "operator_rows.h"
#include "registry.h"

namespace edgedeploy {
namespace {

struct TypeRow {
  int code;  // ONNXTensorElementDataType
  DType dtype;
};
constexpr TypeRow kTypes[] = {
    {1, DType::kFloat32}, {2, DType::kUInt8}, {3, DType::kInt8},   {4, DType::kUInt16},   {5, DType::kInt16},
    {6, DType::kInt32},   {7, DType::kInt64}, {9, DType::kBool},   {10, DType::kFloat16}, {11, DType::kFloat64},
    {12, DType::kUInt32}, {13, DType::kUInt64},
};

DType dtype_of(int code, const std::string& what) {
  for (const auto& row : kTypes)
    if (row.code == code) return row.dtype;
  throw Failure("load", what + " has the ONNX element type " + std::to_string(code) + ", which the runner cannot pass");
}

int code_of(DType dtype) {
  for (const auto& row : kTypes)
    if (row.dtype == dtype) return row.code;
  return 0;
}

// The value of `"key" :` in one line of the profile, quotes stripped; "" where it is absent.
std::string field(const std::string& line, const char* key) {
  const std::string quoted = std::string("\"") + key + "\"";
  size_t at = line.find(quoted);
  if (at == std::string::npos) return "";
  at = line.find_first_not_of(" :", at + quoted.size());
  if (at == std::string::npos) return "";
  if (line[at] == '"') return line.substr(at + 1, line.find('"', at + 1) - at - 1);
  return line.substr(at, line.find_first_of(",} ", at) - at);
}

class OnnxRuntimeBackend : public Backend {
 public:
  std::string open(const LoadOptions& options) override {
    // ONNX Runtime reads this when it starts: nothing is ever sent from a measured device.
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    void* library = open_library(options.library.empty() ? "libonnxruntime.so.1" : options.library);
    const ort::ApiBase* (*get_base)() = nullptr;
    bind(library, "OrtGetApiBase", get_base);
    const std::string version = get_base()->get_version();
    api_.table = get_base()->get_api(ort::kApiVersion);
    if (api_.table == nullptr)
      throw Failure("runtime", "ONNX Runtime " + version + " is too old: C API version " +
                                   std::to_string(ort::kApiVersion) + " is needed");
    return version;
  }

  void load(const LoadOptions& options) override {
    check(api_.create_env(ort::kLogError, "edgedeploy", &env_));
    check(api_.disable_telemetry(env_));
    ort::SessionOptions* session_options = nullptr;
    check(api_.create_session_options(&session_options));
    check(api_.set_intra_op_threads(session_options, options.threads));
    check(api_.set_inter_op_threads(session_options, 1));
    if (options.profile) check(api_.enable_profiling(session_options, (options.scratch + "/onnxruntime").c_str()));
    check(api_.create_session(env_, options.model.c_str(), session_options, &session_));
    check(api_.default_allocator(&allocator_));
    check(api_.create_cpu_memory(ort::kArenaAllocator, ort::kMemoryDefault, &memory_));
    size_t count = 0;
    check(api_.input_count(session_, &count));
    for (size_t i = 0; i < count; i++) inputs_.push_back(describe(i, api_.input_name, api_.input_type));
    check(api_.output_count(session_, &count));
    for (size_t i = 0; i < count; i++) outputs_.push_back(describe(i, api_.output_name, api_.output_type));
    // The specs do not move any more, so their names can be pointed at.
    for (const auto& spec : inputs_) input_names_.push_back(spec.name.c_str());
    for (const auto& spec : outputs_) output_names_.push_back(spec.name.c_str());
  }

  const std::vector<TensorSpec>& inputs() const override { return inputs_; }
  const std::vector<TensorSpec>& outputs() const override { return outputs_; }

  void set_inputs(const Tensor* tensors, size_t count) override {
    check_inputs(inputs_, tensors, count);
    release(input_values_);
    release(output_values_);
    for (size_t i = 0; i < count; i++) {
      const TensorSpec& spec = tensors[i].spec();
      ort::Value* value = nullptr;
      check(api_.create_tensor(memory_, tensors[i].data(), tensors[i].size_bytes(), spec.shape.data(),
                               spec.shape.size(), code_of(spec.dtype), &value));
      input_values_.push_back(value);
    }
    output_values_.assign(outputs_.size(), nullptr);  // the first run allocates them, the next ones write into them
  }

  void run() override {
    check(api_.run(session_, nullptr, input_names_.data(), input_values_.data(), input_values_.size(),
                   output_names_.data(), output_names_.size(), output_values_.data()));
    runs_++;
  }

  std::vector<Tensor> read_outputs() override {
    std::vector<Tensor> copies;
    for (size_t i = 0; i < output_values_.size(); i++) {
      int tensor = 0;
      if (output_values_[i] != nullptr) check(api_.is_tensor(output_values_[i], &tensor));
      if (!tensor) throw Failure("outputs", "output '" + outputs_[i].name + "' is not a tensor");
      ort::TensorInfo* info = nullptr;
      check(api_.tensor_info(output_values_[i], &info));
      copies.emplace_back(spec_of(info, outputs_[i].name));
      api_.release_tensor_info(info);
      void* data = nullptr;
      check(api_.tensor_data(output_values_[i], &data));
      std::memcpy(copies.back().data(), data, copies.back().size_bytes());
    }
    return copies;
  }

  void start_profile() override { runs_before_profile_ = runs_; }

  // ONNX Runtime writes one event a line, in microseconds; a run's node events stand before its "model_run". The
  // first inference and the warm-up are in the file too, and are left out by counting those.
  std::vector<OperatorTime> stop_profile() override {
    char* path = nullptr;
    check(api_.end_profiling(session_, allocator_, &path));
    const std::string file_name = path;
    check(api_.free(allocator_, path));
    OperatorRows operators;
    int64_t run = 0;
    std::ifstream file(file_name);
    if (!file) throw Failure("profile", "ONNX Runtime's profile " + file_name + " cannot be read");
    for (std::string line; std::getline(file, line);) {
      const std::string name = field(line, "name");
      if (name == "model_run") {
        run++;
        operators.begin_run();
      }
      constexpr char kSuffix[] = "_kernel_time";
      const size_t suffix = name.rfind(kSuffix);
      if (field(line, "cat") != "Node" || suffix == std::string::npos || run < runs_before_profile_) continue;
      const std::string node = name.substr(0, suffix), type = field(line, "op_name");
      OperatorTime& row = operators[operators.next_row(node, type, Delegated::kNoDelegates)];
      row.calls++;
      row.total_ns += std::strtoll(field(line, "dur").c_str(), nullptr, 10) * 1000;
    }
    file.close();
    std::remove(file_name.c_str());
    return operators.rows();
  }

 private:
  void check(ort::Status* status) {
    if (status == nullptr) return;
    const std::string message = api_.error_message(status);
    api_.release_status(status);
    throw Failure(session_ == nullptr ? "load" : "run", "ONNX Runtime: " + message);
  }

  void release(std::vector<ort::Value*>& values) {
    for (auto* value : values)
      if (value != nullptr) api_.release_value(value);
    values.clear();
  }

  TensorSpec spec_of(const ort::TensorInfo* info, const std::string& name) {
    TensorSpec spec;
    spec.name = name;
    int code = 0;
    size_t rank = 0;
    check(api_.element_type(info, &code));
    check(api_.rank(info, &rank));
    spec.dtype = dtype_of(code, "'" + name + "'");
    spec.shape.resize(rank);
    check(api_.dimensions(info, spec.shape.data(), rank));
    return spec;
  }

  template <typename Name, typename Type>
  TensorSpec describe(size_t index, const Name& get_name, const Type& get_type) {
    char* text = nullptr;
    check(get_name(session_, index, allocator_, &text));
    const std::string name = text;
    check(api_.free(allocator_, text));
    ort::TypeInfo* type = nullptr;
    check(get_type(session_, index, &type));
    const ort::TensorInfo* info = nullptr;
    check(api_.as_tensor_info(type, &info));  // null where it is a sequence or a map
    if (info == nullptr) throw Failure("load", "'" + name + "' is not a tensor");
    TensorSpec spec = spec_of(info, name);
    api_.release_type_info(type);
    return spec;
  }

  ort::Api api_;
  ort::Env* env_ = nullptr;
  ort::Session* session_ = nullptr;
  ort::Allocator* allocator_ = nullptr;
  ort::MemoryInfo* memory_ = nullptr;
  int64_t runs_ = 0, runs_before_profile_ = 0;
  std::vector<TensorSpec> inputs_, outputs_;
  std::vector<const char*> input_names_, output_names_;
  std::vector<ort::Value*> input_values_, output_values_;
};

std::unique_ptr<Backend> make(const LoadOptions&) { return std::make_unique<OnnxRuntimeBackend>(); }

const RegisterBackend registration({"onnxruntime", make});

}  // namespace
}  // namespace edgedeploy
