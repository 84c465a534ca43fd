// LiteRT's compiled model on the CPU: XNNPACK where it has a kernel, LiteRT's own kernels elsewhere.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "backend.h"
#include "library.h"
#include "litert_abi.h"
#include "operator_rows.h"
#include "registry.h"

namespace edgedeploy {
namespace {

using litert::Handle;

struct TypeRow {
  int code;
  DType dtype;
};
constexpr TypeRow kTypes[] = {
    {1, DType::kFloat32}, {2, DType::kInt32},    {3, DType::kUInt8},    {4, DType::kInt64},
    {6, DType::kBool},    {7, DType::kInt16},    {9, DType::kInt8},     {10, DType::kFloat16},
    {11, DType::kFloat64}, {13, DType::kUInt64}, {16, DType::kUInt32}, {17, DType::kUInt16},
};

struct StatusRow {
  int code;
  const char* text;
};
constexpr StatusRow kStatuses[] = {
    {1, "invalid argument"},     {2, "out of memory"},          {3, "runtime failure"},
    {4, "missing input tensor"}, {5, "unsupported"},            {6, "not found"},
    {8, "wrong version"},        {500, "the file cannot be read"}, {501, "not a valid .tflite file"},
    {502, "a library could not be loaded"}, {504, "compilation failed"}, {1000, "index out of bounds"},
};

std::string status_text(int status) {
  for (const auto& row : kStatuses)
    if (row.code == status) return row.text;
  return "status " + std::to_string(status);
}

class LiteRtBackend : public Backend {
 public:
  std::string open(const LoadOptions& options) override {
    void* library = open_library(options.library.empty() ? "libLiteRt.so" : options.library);
    bind(library, "LiteRtCreateEnvironment", api_.create_environment);
    bind(library, "LiteRtCreateModelFromFile", api_.create_model);
    bind(library, "LiteRtGetNumModelSignatures", api_.signature_count);
    bind(library, "LiteRtGetModelSignature", api_.signature);
    bind(library, "LiteRtGetNumSignatureInputs", api_.input_count);
    bind(library, "LiteRtGetNumSignatureOutputs", api_.output_count);
    bind(library, "LiteRtGetSignatureInputName", api_.input_name);
    bind(library, "LiteRtGetSignatureOutputName", api_.output_name);
    bind(library, "LiteRtGetSignatureInputTensorByIndex", api_.input_tensor);
    bind(library, "LiteRtGetSignatureOutputTensorByIndex", api_.output_tensor);
    bind(library, "LiteRtGetRankedTensorType", api_.tensor_type);
    bind(library, "LiteRtCreateOptions", api_.create_options);
    bind(library, "LiteRtSetOptionsHardwareAccelerators", api_.set_accelerators);
    bind(library, "LiteRtCreateOpaqueOptions", api_.create_opaque);
    bind(library, "LiteRtAddOpaqueOptions", api_.add_opaque);
    bind(library, "LiteRtCreateCompiledModel", api_.compile);
    bind(library, "LiteRtGetCompiledModelInputBufferRequirements", api_.input_requirements);
    bind(library, "LiteRtGetCompiledModelOutputBufferRequirements", api_.output_requirements);
    bind(library, "LiteRtCreateManagedTensorBufferFromRequirements", api_.create_buffer);
    bind(library, "LiteRtGetTensorBufferPackedSize", api_.packed_size);
    bind(library, "LiteRtLockTensorBuffer", api_.lock);
    bind(library, "LiteRtUnlockTensorBuffer", api_.unlock);
    bind(library, "LiteRtRunCompiledModel", api_.run);
    bind(library, "LiteRtCompiledModelGetProfiler", api_.get_profiler);
    bind(library, "LiteRtStartProfiler", api_.start_profiler);
    bind(library, "LiteRtStopProfiler", api_.stop_profiler);
    bind(library, "LiteRtGetNumProfilerEvents", api_.event_count);
    bind(library, "LiteRtGetProfilerEvents", api_.events);
    return "";  // the library does not report its version
  }

  void load(const LoadOptions& options) override {
    check("load", "environment", api_.create_environment(0, nullptr, &environment_));
    Handle model = nullptr;
    check("load", options.model, api_.create_model(environment_, options.model.c_str(), &model));
    size_t signatures = 0;
    check("load", "signatures", api_.signature_count(model, &signatures));
    if (signatures != 1)
      throw Failure("load", "the model has " + std::to_string(signatures) + " signatures, the runner runs one");
    Handle compile_options = nullptr;
    check("load", "options", api_.create_options(&compile_options));
    check("load", "options", api_.set_accelerators(compile_options, litert::kAcceleratorCpu));
    add_options(compile_options, "xnnpack", "num_threads = " + std::to_string(options.threads) + "\n");
    if (options.profile) add_options(compile_options, "runtime_options_string", "enable_profiling = true\n");
    check("load", "compilation", api_.compile(environment_, model, compile_options, &compiled_));
    if (options.profile) check("load", "profiler", api_.get_profiler(compiled_, &profiler_));

    Handle signature = nullptr;
    check("load", "signature", api_.signature(model, 0, &signature));
    size_t count = 0;
    check("load", "inputs", api_.input_count(signature, &count));
    for (size_t i = 0; i < count; i++)
      input_buffers_.push_back(
          add_tensor(signature, i, api_.input_name, api_.input_tensor, api_.input_requirements, inputs_));
    check("load", "outputs", api_.output_count(signature, &count));
    for (size_t i = 0; i < count; i++)
      output_buffers_.push_back(
          add_tensor(signature, i, api_.output_name, api_.output_tensor, api_.output_requirements, outputs_));
  }

  const std::vector<TensorSpec>& inputs() const override { return inputs_; }
  const std::vector<TensorSpec>& outputs() const override { return outputs_; }

  void set_inputs(const Tensor* tensors, size_t count) override {
    check_inputs(inputs_, tensors, count);
    for (size_t i = 0; i < count; i++) {
      void* memory = nullptr;
      check("inputs", inputs_[i].name, api_.lock(input_buffers_[i], &memory, litert::kLockWrite));
      std::memcpy(memory, tensors[i].data(), tensors[i].size_bytes());
      check("inputs", inputs_[i].name, api_.unlock(input_buffers_[i]));
    }
  }

  void run() override {
    check("run", "inference", api_.run(compiled_, 0, input_buffers_.size(), input_buffers_.data(),
                                       output_buffers_.size(), output_buffers_.data()));
    profiled_runs_++;
  }

  std::vector<Tensor> read_outputs() override {
    std::vector<Tensor> copies;
    for (size_t i = 0; i < outputs_.size(); i++) {
      copies.emplace_back(outputs_[i]);
      void* memory = nullptr;
      check("outputs", outputs_[i].name, api_.lock(output_buffers_[i], &memory, litert::kLockRead));
      std::memcpy(copies.back().data(), memory, copies.back().size_bytes());
      check("outputs", outputs_[i].name, api_.unlock(output_buffers_[i]));
    }
    return copies;
  }

  void start_profile() override {
    check("profile", "start", api_.start_profiler(profiler_));
    profiled_runs_ = 0;
  }

  // Events are in microseconds. XNNPACK's operators are reported among the graph's, and its calls are left out, so that
  // nothing is counted twice. Runs are not marked: all have the same events.
  std::vector<OperatorTime> stop_profile() override {
    check("profile", "stop", api_.stop_profiler(profiler_));
    int count = 0;
    check("profile", "events", api_.event_count(profiler_, &count));
    std::vector<litert::ProfileEvent> events(static_cast<size_t>(std::max(count, 0)));
    if (count > 0) check("profile", "events", api_.events(profiler_, count, events.data()));
    const auto is_no_operator = [](const litert::ProfileEvent& event) {
      return (event.type & (litert::kOperator | litert::kDelegateAsOperator)) == 0;
    };
    events.erase(std::remove_if(events.begin(), events.end(), is_no_operator), events.end());
    const size_t events_per_run = std::max<size_t>(events.size() / std::max<size_t>(profiled_runs_, 1), 1);
    OperatorRows operators;
    for (size_t i = 0; i < events.size(); i++) {
      if (i % events_per_run == 0) operators.begin_run();
      const std::string type = events[i].tag == nullptr ? "" : events[i].tag;
      const bool inside = (events[i].type & litert::kDelegateAsOperator) != 0;
      OperatorTime& row = operators[operators.next_row(type + " #" + std::to_string(events[i].metadata1), type,
                                                       inside ? Delegated::kYes : Delegated::kNo)];
      row.calls++;
      row.total_ns += static_cast<int64_t>(events[i].elapsed_us) * 1000;
    }
    return operators.rows();
  }

 private:
  static void check(const char* stage, const std::string& what, int status) {
    if (status != 0) throw Failure(stage, "LiteRT: " + what + ": " + status_text(status));
  }

  void add_options(Handle options, const char* identifier, const std::string& toml) {
    Handle opaque = nullptr;
    check("load", identifier, api_.create_opaque(identifier, strdup(toml.c_str()), std::free, &opaque));
    check("load", identifier, api_.add_opaque(options, opaque));
  }

  // Appends the spec of an input or output, and returns its buffer.
  template <typename Name, typename GetTensor, typename Requirements>
  Handle add_tensor(Handle signature, size_t index, Name get_name, GetTensor get_tensor, Requirements get_requirements,
                    std::vector<TensorSpec>& specs) {
    const char* name = nullptr;
    check("load", "tensor name", get_name(signature, index, &name));
    TensorSpec spec;
    spec.name = name == nullptr ? "" : name;
    Handle tensor = nullptr;
    litert::RankedTensorType type{};
    check("load", spec.name, get_tensor(signature, index, &tensor));
    check("load", spec.name, api_.tensor_type(tensor, &type));
    const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [&](const auto& candidate) { return candidate.code == type.element_type; });
    // LiteRT leaves the buffer of such an output unwritten, even when it is asked for: an error is better than zeros.
    if (std::find(tensors_.begin(), tensors_.end(), tensor) != tensors_.end())
      throw Failure("load", "'" + spec.name + "' is another input or output itself: LiteRT would not write it");
    tensors_.push_back(tensor);
    if (row == std::end(kTypes))
      throw Failure("load", "'" + spec.name + "' has the TFLite type " + std::to_string(type.element_type) +
                                ", which the runner cannot pass");
    spec.dtype = row->dtype;
    if (type.layout.rank > 8) throw Failure("load", "'" + spec.name + "' has more than 8 dimensions");
    for (unsigned d = 0; d < type.layout.rank; d++) {
      if (type.layout.dimensions[d] < 0) throw Failure("load", "'" + spec.name + "' has a dynamic shape");
      spec.shape.push_back(type.layout.dimensions[d]);
    }
    Handle requirements = nullptr, buffer = nullptr;
    check("load", spec.name, get_requirements(compiled_, 0, index, &requirements));
    check("load", spec.name, api_.create_buffer(environment_, &type, requirements, &buffer));
    size_t bytes = 0;
    check("load", spec.name, api_.packed_size(buffer, &bytes));
    if (bytes != spec.size_bytes())
      throw Failure("load", "'" + spec.name + "' takes " + std::to_string(spec.size_bytes()) +
                                " bytes, LiteRT's buffer has " + std::to_string(bytes));
    specs.push_back(std::move(spec));
    return buffer;
  }

  litert::Api api_{};
  Handle environment_ = nullptr, compiled_ = nullptr, profiler_ = nullptr;
  std::vector<TensorSpec> inputs_, outputs_;
  std::vector<Handle> tensors_, input_buffers_, output_buffers_;
  size_t profiled_runs_ = 0;  // since the profile was started
};

std::unique_ptr<Backend> make(const LoadOptions&) { return std::make_unique<LiteRtBackend>(); }

const RegisterBackend registration({"litert", make});

}  // namespace
}  // namespace edgedeploy
