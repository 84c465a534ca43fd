// libedgedeploy_executorch.so: ExecuTorch has a C++ API and no C one, so its backend is built against the headers and
// the libraries of the Python package, and the runner loads it by name.
#include <algorithm>
#include <cstring>

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor_ptr.h>
#include <executorch/runtime/core/event_tracer.h>
#include <executorch/runtime/platform/platform.h>

#include "backend.h"
#include "operator_rows.h"

// The package has the thread pool's library, but not its header.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(uint32_t new_thread_count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace edgedeploy {
namespace {

namespace et = executorch::runtime;
using executorch::aten::ScalarType;

struct TypeRow {
  ScalarType code;
  DType dtype;
};
constexpr TypeRow kTypes[] = {
    {ScalarType::Float, DType::kFloat32},  {ScalarType::Double, DType::kFloat64}, {ScalarType::Half, DType::kFloat16},
    {ScalarType::Char, DType::kInt8},      {ScalarType::Byte, DType::kUInt8},     {ScalarType::Short, DType::kInt16},
    {ScalarType::UInt16, DType::kUInt16},  {ScalarType::Int, DType::kInt32},      {ScalarType::UInt32, DType::kUInt32},
    {ScalarType::Long, DType::kInt64},     {ScalarType::UInt64, DType::kUInt64},  {ScalarType::Bool, DType::kBool},
};

DType dtype_of(ScalarType code, const std::string& what) {
  for (const auto& row : kTypes)
    if (row.code == code) return row.dtype;
  throw Failure("load", what + " has the scalar type " + std::to_string(static_cast<int>(code)) +
                            ", which the runner cannot pass");
}

ScalarType code_of(DType dtype) {
  for (const auto& row : kTypes)
    if (row.dtype == dtype) return row.code;
  return ScalarType::Undefined;
}

// Sums the time of kernels and of the delegates' operators, and what a delegate's call takes beside its operators.
// The runtime also traces spans around those ("Method::execute", "OPERATOR_CALL"): they would count the same time twice.
class Tracer : public et::EventTracer {
 public:
  bool active = false;
  OperatorRows operators;

  void create_event_block(const char*) override {}

  et::EventTracerEntry start_profiling(const char* name, et::ChainID, et::DebugHandle) override {
    constexpr char kKernel[] = "native_call_";
    et::EventTracerEntry entry{};
    entry.event_id = -1;
    if (active && std::strncmp(name, kKernel, sizeof kKernel - 1) == 0) {
      entry.event_id = next_row(name + sizeof kKernel - 1, Delegated::kNo);
    } else if (active && std::strcmp(name, "DELEGATE_CALL") == 0) {
      entry.event_id = delegate_call_ = next_row("delegate call, beside its operators", Delegated::kNo);
    }
    entry.start_time = et::pal_current_ticks();
    return entry;
  }
  void end_profiling(et::EventTracerEntry entry) override {
    add(entry.event_id, ns(entry.start_time, et::pal_current_ticks()));
  }

  et::EventTracerEntry start_profiling_delegate(const char* name, et::DelegateDebugIntId index) override {
    et::EventTracerEntry entry{};
    entry.event_id = active ? next_row(delegate_name(name, index), Delegated::kYes) : -1;
    entry.start_time = et::pal_current_ticks();
    return entry;
  }
  void end_profiling_delegate(et::EventTracerEntry entry, const void*, size_t) override {
    add_inside_delegate(entry.event_id, ns(entry.start_time, et::pal_current_ticks()));
  }
  void log_profiling_delegate(const char* name, et::DelegateDebugIntId index, et_timestamp_t start, et_timestamp_t end,
                              const void*, size_t) override {
    if (active) add_inside_delegate(next_row(delegate_name(name, index), Delegated::kYes), ns(start, end));
  }

  void track_allocation(et::AllocatorID, size_t) override {}
  et::AllocatorID track_allocator(const char*) override { return 0; }
  et::Result<bool> log_evalue(const et::EValue&, et::LoggedEValueType) override { return false; }
  using Name = const char*;
  using Index = et::DelegateDebugIntId;
  et::Result<bool> log_intermediate_output_delegate(Name, Index, const executorch::aten::Tensor&) override {
    return false;
  }
  et::Result<bool> log_intermediate_output_delegate(Name, Index, const et::ArrayRef<executorch::aten::Tensor>) override {
    return false;
  }
  et::Result<bool> log_intermediate_output_delegate(Name, Index, const int&) override { return false; }
  et::Result<bool> log_intermediate_output_delegate(Name, Index, const bool&) override { return false; }
  et::Result<bool> log_intermediate_output_delegate(Name, Index, const double&) override { return false; }
  void set_delegation_intermediate_output_filter(et::EventTracerFilterBase*) override {}

 private:
  static std::string delegate_name(const char* name, et::DelegateDebugIntId index) {
    return name != nullptr ? name : "delegate operator #" + std::to_string(index);
  }

  int64_t next_row(const std::string& name, Delegated delegated) {
    return static_cast<int64_t>(operators.next_row(name, name.substr(0, name.find(" #")), delegated));
  }

  static int64_t ns(et_timestamp_t start, et_timestamp_t end) {
    const et_tick_ratio_t ratio = et::pal_ticks_to_ns_multiplier();
    return static_cast<int64_t>((end - start) * ratio.numerator / ratio.denominator);
  }

  void add(int64_t index, int64_t elapsed_ns) {
    if (!active || index < 0) return;
    OperatorTime& row = operators[static_cast<size_t>(index)];
    row.calls++;
    row.total_ns += elapsed_ns;
  }

  void add_inside_delegate(int64_t index, int64_t elapsed_ns) {
    add(index, elapsed_ns);
    if (active && index >= 0 && delegate_call_ >= 0)
      operators[static_cast<size_t>(delegate_call_)].total_ns -= elapsed_ns;
  }

  int64_t delegate_call_ = -1;  // the row of the current one
};

class ExecuTorchBackend : public Backend {
 public:
  std::string open(const LoadOptions& options) override {
    const auto threads = static_cast<uint32_t>(options.threads);
    auto* pool = executorch::extension::threadpool::get_threadpool();
    if (pool == nullptr || !pool->_unsafe_reset_threadpool(threads))
      throw Failure("runtime", "ExecuTorch's thread pool could not be set to " + std::to_string(threads));
    return EDGEDEPLOY_EXECUTORCH_VERSION;
  }

  void load(const LoadOptions& options) override {
    auto tracer = options.profile ? std::make_unique<Tracer>() : nullptr;
    tracer_ = tracer.get();
    using executorch::extension::Module;
    module_ = std::make_unique<Module>(options.model, Module::LoadMode::Mmap, std::move(tracer));
    check("load", options.model, module_->load(et::Program::Verification::InternalConsistency));
    check("load", "method 'forward'", module_->load_method("forward"));
    const auto meta = module_->method_meta("forward");
    check("load", "method 'forward'", meta.error());
    for (size_t i = 0; i < meta->num_inputs(); i++)
      inputs_.push_back(spec_of(meta->input_tensor_meta(i), "input " + std::to_string(i)));
    for (size_t i = 0; i < meta->num_outputs(); i++)
      outputs_.push_back(spec_of(meta->output_tensor_meta(i), "output " + std::to_string(i)));
  }

  const std::vector<TensorSpec>& inputs() const override { return inputs_; }
  const std::vector<TensorSpec>& outputs() const override { return outputs_; }

  void set_inputs(const Tensor* tensors, size_t count) override {
    check_inputs(inputs_, tensors, count);
    tensors_.clear();
    values_.clear();
    for (size_t i = 0; i < count; i++) {
      const TensorSpec& spec = tensors[i].spec();
      std::vector<executorch::aten::SizesType> sizes(spec.shape.begin(), spec.shape.end());
      tensors_.push_back(
          executorch::extension::make_tensor_ptr(std::move(sizes), tensors[i].data(), code_of(spec.dtype)));
      values_.emplace_back(tensors_.back());
    }
  }

  void run() override {
    if (tracer_ != nullptr) tracer_->operators.begin_run();
    auto result = module_->execute("forward", values_);
    check("run", "inference", result.error());
    results_ = std::move(result.get());
  }

  std::vector<Tensor> read_outputs() override {
    std::vector<Tensor> copies;
    for (size_t i = 0; i < results_.size(); i++) {
      const std::string name = "output " + std::to_string(i);
      if (!results_[i].isTensor()) throw Failure("outputs", name + " is not a tensor");
      const auto& tensor = results_[i].toTensor();
      TensorSpec spec{name, dtype_of(tensor.scalar_type(), name), {}};
      spec.shape.assign(tensor.sizes().begin(), tensor.sizes().end());
      copies.emplace_back(std::move(spec));
      if (tensor.nbytes() != copies.back().size_bytes()) throw Failure("outputs", name + " is not dense");
      std::memcpy(copies.back().data(), tensor.const_data_ptr(), tensor.nbytes());
    }
    return copies;
  }

  void start_profile() override { tracer_->active = true; }
  std::vector<OperatorTime> stop_profile() override {
    tracer_->active = false;
    // XNNPACK reports whole microseconds, so its operators may add up to slightly more than their call.
    std::vector<OperatorTime> rows = tracer_->operators.rows();
    for (auto& row : rows) row.total_ns = std::max<int64_t>(row.total_ns, 0);
    return rows;
  }

 private:
  static void check(const char* stage, const std::string& what, et::Error error) {
    if (error != et::Error::Ok)
      throw Failure(stage, "ExecuTorch: " + what + ": " + executorch::runtime::to_string(error));
  }

  static TensorSpec spec_of(const et::Result<et::TensorInfo>& info, const std::string& fallback) {
    check("load", fallback + " is not a tensor", info.error());
    TensorSpec spec{std::string(info->name()), dtype_of(info->scalar_type(), fallback), {}};
    if (spec.name.empty()) spec.name = fallback;
    spec.shape.assign(info->sizes().begin(), info->sizes().end());
    return spec;
  }

  Tracer* tracer_ = nullptr;  // owned by the module
  std::unique_ptr<executorch::extension::Module> module_;
  std::vector<TensorSpec> inputs_, outputs_;
  std::vector<executorch::extension::TensorPtr> tensors_;
  std::vector<et::EValue> values_, results_;
};

}  // namespace
}  // namespace edgedeploy

extern "C" __attribute__((visibility("default"))) edgedeploy::Backend* edgedeploy_make_backend(int plugin_abi) {
  return plugin_abi == edgedeploy::kPluginAbi ? new edgedeploy::ExecuTorchBackend : nullptr;
}
