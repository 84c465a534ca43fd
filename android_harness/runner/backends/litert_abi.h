// The part of LiteRT's C API that the runner uses, in our own words: the Python package (ai-edge-litert 2.3) brings
// libLiteRt.so without headers. Every function returns a status, 0 for success; handles are opaque.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgedeploy::litert {

using Handle = void*;

struct Layout {
  unsigned rank : 7;
  unsigned has_strides : 1;
  int32_t dimensions[8];  // negative: dynamic
  uint32_t strides[8];
};
struct RankedTensorType {
  int32_t element_type;  // TFLite's type codes
  Layout layout;
};
static_assert(sizeof(RankedTensorType) == 72, "the layout is part of the library's ABI");

struct MemoryUsage {
  size_t total_bytes, in_use_bytes, private_bytes;
};
struct ProfileEvent {
  const char* tag;  // owned by the profiler
  int32_t type;     // kOperator ...
  uint64_t start_us, elapsed_us;
  MemoryUsage begin, end;
  uint64_t metadata1, metadata2;
  int32_t source;
};
constexpr int32_t kOperator = 2;            // an operator of the graph
constexpr int32_t kDelegateAsOperator = 8;  // an operator of a delegate, reported among the graph's

constexpr int kAcceleratorCpu = 1;
constexpr int kLockRead = 0, kLockWrite = 1;

struct Api {
  int (*create_environment)(int option_count, const void* options, Handle* environment);
  int (*create_model)(Handle environment, const char* path, Handle* model);
  int (*signature_count)(Handle model, size_t* count);
  int (*signature)(Handle model, size_t index, Handle* signature);
  int (*input_count)(Handle signature, size_t* count);
  int (*output_count)(Handle signature, size_t* count);
  int (*input_name)(Handle signature, size_t index, const char** name);
  int (*output_name)(Handle signature, size_t index, const char** name);
  int (*input_tensor)(Handle signature, size_t index, Handle* tensor);
  int (*output_tensor)(Handle signature, size_t index, Handle* tensor);
  int (*tensor_type)(Handle tensor, RankedTensorType* type);
  int (*create_options)(Handle* options);
  int (*set_accelerators)(Handle options, int set);
  // `payload` is a text in TOML that belongs to the options; "xnnpack" and "runtime_options_string" are identifiers.
  int (*create_opaque)(const char* identifier, void* payload, void (*destroy)(void*), Handle* opaque);
  int (*add_opaque)(Handle options, Handle opaque);
  int (*compile)(Handle environment, Handle model, Handle options, Handle* compiled);
  int (*input_requirements)(Handle compiled, size_t signature, size_t index, Handle* requirements);
  int (*output_requirements)(Handle compiled, size_t signature, size_t index, Handle* requirements);
  int (*create_buffer)(Handle environment, const RankedTensorType* type, Handle requirements, Handle* buffer);
  int (*packed_size)(Handle buffer, size_t* bytes);
  int (*lock)(Handle buffer, void** address, int mode);
  int (*unlock)(Handle buffer);
  int (*run)(Handle compiled, size_t signature, size_t input_count, Handle* inputs, size_t output_count,
             Handle* outputs);
  int (*get_profiler)(Handle compiled, Handle* profiler);
  int (*start_profiler)(Handle profiler);
  int (*stop_profiler)(Handle profiler);
  int (*event_count)(Handle profiler, int* count);
  int (*events)(Handle profiler, int count, ProfileEvent* events);
};

}  // namespace edgedeploy::litert
