// The part of ONNX Runtime's C API that the runner uses, in our own words: the Python package brings the library
// without its header. `OrtApi` is a struct of function pointers whose order never changes (new functions are added
// behind the last one; onnxruntime_c_api.h promises it), so a place in it is as good as a name. The places were
// checked with offsetof against the header of API version 29; kApiVersion is the oldest version that has them all.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgedeploy::ort {

constexpr uint32_t kApiVersion = 17;

// Opaque things. They are only ever passed around as pointers.
struct Status;
struct Env;
struct Session;
struct SessionOptions;
struct Value;
struct TypeInfo;
struct TensorInfo;
struct MemoryInfo;
struct Allocator;

struct ApiBase {
  const void* const* (*get_api)(uint32_t version);  // nullptr where the library is older
  const char* (*get_version)();
};

constexpr int kLogError = 3;         // OrtLoggingLevel
constexpr int kArenaAllocator = 1;   // OrtAllocatorType
constexpr int kMemoryDefault = 0;    // OrtMemType
constexpr int kTypeTensor = 1;       // ONNXType

// One function of the table: its place, and its type.
template <size_t place, typename Type>
struct Function;
template <size_t place, typename Result, typename... Arguments>
struct Function<place, Result(Arguments...)> {
  const void* const* const& table;
  Result operator()(Arguments... arguments) const {
    return reinterpret_cast<Result (*)(Arguments...)>(const_cast<void*>(table[place]))(arguments...);
  }
};

// A Status that is not null is a failure, and is released by the caller.
struct Api {
  const void* const* table = nullptr;

  Function<2, const char*(const Status*)> error_message{table};
  Function<3, Status*(int severity, const char* log_id, Env**)> create_env{table};
  Function<6, Status*(const Env*)> disable_telemetry{table};
  Function<7, Status*(const Env*, const char* path, const SessionOptions*, Session**)> create_session{table};
  Function<9, Status*(Session*, const void* run_options, const char* const* input_names, const Value* const* inputs,
                      size_t input_count, const char* const* output_names, size_t output_count, Value** outputs)>
      run{table};
  Function<10, Status*(SessionOptions**)> create_session_options{table};
  Function<14, Status*(SessionOptions*, const char* file_prefix)> enable_profiling{table};
  Function<24, Status*(SessionOptions*, int)> set_intra_op_threads{table};
  Function<25, Status*(SessionOptions*, int)> set_inter_op_threads{table};
  Function<30, Status*(const Session*, size_t*)> input_count{table};
  Function<31, Status*(const Session*, size_t*)> output_count{table};
  Function<33, Status*(const Session*, size_t, TypeInfo**)> input_type{table};
  Function<34, Status*(const Session*, size_t, TypeInfo**)> output_type{table};
  Function<36, Status*(const Session*, size_t, Allocator*, char**)> input_name{table};
  Function<37, Status*(const Session*, size_t, Allocator*, char**)> output_name{table};
  Function<49, Status*(const MemoryInfo*, void* data, size_t size, const int64_t* shape, size_t rank, int type,
                       Value**)>
      create_tensor{table};
  Function<50, Status*(const Value*, int*)> is_tensor{table};
  Function<51, Status*(Value*, void**)> tensor_data{table};
  Function<55, Status*(const TypeInfo*, const TensorInfo**)> as_tensor_info{table};
  Function<60, Status*(const TensorInfo*, int*)> element_type{table};
  Function<61, Status*(const TensorInfo*, size_t*)> rank{table};
  Function<62, Status*(const TensorInfo*, int64_t*, size_t)> dimensions{table};
  Function<65, Status*(const Value*, TensorInfo**)> tensor_info{table};
  Function<69, Status*(int allocator_type, int memory_type, MemoryInfo**)> create_cpu_memory{table};
  Function<76, Status*(Allocator*, void*)> free{table};
  Function<78, Status*(Allocator**)> default_allocator{table};
  Function<93, void(Status*)> release_status{table};
  Function<96, void(Value*)> release_value{table};
  Function<98, void(TypeInfo*)> release_type_info{table};
  Function<99, void(TensorInfo*)> release_tensor_info{table};
  Function<110, Status*(Session*, Allocator*, char**)> end_profiling{table};
};

}  // namespace edgedeploy::ort
