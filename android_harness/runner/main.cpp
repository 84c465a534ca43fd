// edgedeploy_runner: loads one model in one runtime, measures it, and answers in JSON lines.
// Arguments and answer are specified in ../PROTOCOL.md; change both together.
#include <unistd.h>

#include "answer.h"
#include "cpu.h"
#include "measure.h"
#include "options.h"
#include "registry.h"
#include "tensors.h"

namespace edgedeploy {
namespace {

constexpr int kProtocol = 1;
#if defined(__aarch64__)
constexpr char kAbi[] = "arm64";
#elif defined(__x86_64__)
constexpr char kAbi[] = "x86-64";
#else
#error "the runner is built for arm64 and x86-64"
#endif

void report_samples(const char* phase, const Samples& samples) {
  answer(Json()
             .add("event", "samples")
             .add("phase", phase)
             .add("start_ns", samples.start_ns)
             .add("ns", samples.ns)
             .add("cpu_before", samples.cpu_before)
             .add("cpu_after", samples.cpu_after)
             .add("khz_before", samples.khz_before)
             .add("khz_after", samples.khz_after));
}

// The inputs file holds one or more whole sets of inputs; set 0 is what is measured.
size_t inputs_per_set(const Backend& backend, size_t given) {
  const size_t wanted = backend.inputs().size();
  if (wanted == 0) return given;  // without a model, or a model without inputs
  if (given == 0 || given % wanted != 0)
    throw Failure("inputs", "the model takes " + std::to_string(wanted) + " inputs, the file holds " +
                                std::to_string(given) + ", which is not a whole number of sets");
  return wanted;
}

void write_outputs(Backend& backend, const std::vector<Tensor>& inputs, size_t per_set, const std::string& path) {
  std::vector<Tensor> outputs;
  for (size_t first = 0; first == 0 || first < inputs.size(); first += per_set == 0 ? 1 : per_set) {
    backend.set_inputs(inputs.data() + first, per_set);
    backend.run();
    for (auto& tensor : backend.read_outputs()) outputs.push_back(std::move(tensor));
    if (per_set == 0) break;
  }
  write_tensors(path, outputs);
}

void run(int argc, char** argv) {
  set_stage("arguments");
  const Options options = parse_options(argc, argv);
  if (!options.cpu_mask.empty()) pin_to(options.cpu_mask);
  set_stage("runtime");
  const std::unique_ptr<Backend> backend = find_backend(options.runtime).make(options.load);
  const std::string version = backend->open(options.load);
  answer(Json()
             .add("event", "start")
             .add("protocol", int64_t{kProtocol})
             .add("runtime", options.runtime)
             .add("runtime_version", version)
             .add("abi", kAbi)
             .add("pid", int64_t{getpid()})
             .add("threads", int64_t{options.load.threads})
             .add("unix_ns", unix_ns())
             .add("monotonic_ns", now_ns())
             .add_or_null("peak_rss_bytes", peak_rss_bytes()));
  set_stage("inputs");
  const std::vector<Tensor> inputs = read_tensors(options.inputs);

  set_stage("load");
  if (!options.load.model.empty() && access(options.load.model.c_str(), R_OK) != 0)
    throw Failure("load", options.load.model + " cannot be read");
  const int64_t load_begin = now_ns();
  backend->load(options.load);
  const int64_t load_ns = now_ns() - load_begin;

  set_stage("inputs");
  const size_t per_set = inputs_per_set(*backend, inputs.size());
  backend->set_inputs(inputs.data(), per_set);
  answer(Json()
             .add("event", "loaded")
             .add("load_ns", load_ns)
             .add("inputs", backend->inputs())
             .add("outputs", backend->outputs()));

  CpuReader cpu;
  set_stage("first");
  report_samples("first", measure(*backend, cpu, 1, 0, 0));
  set_stage("warmup");
  report_samples("warmup", measure(*backend, cpu, options.warmup_runs, 0, options.max_secs));
  set_stage("run");
  if (options.load.profile) backend->start_profile();
  report_samples("run", measure(*backend, cpu, options.num_runs, options.min_secs, options.max_secs));
  if (options.load.profile) {
    set_stage("profile");
    answer(Json().add("event", "profile").add("operators", backend->stop_profile()));
  }
  const int64_t peak = peak_rss_bytes();
  if (!options.outputs.empty()) {
    set_stage("outputs");
    write_outputs(*backend, inputs, per_set, options.outputs);
  }
  answer(Json().add("event", "done").add_or_null("peak_rss_bytes", peak));
}

}  // namespace
}  // namespace edgedeploy

int main(int argc, char** argv) {
  using edgedeploy::Json;
  edgedeploy::start_answer();
  std::string stage, message;
  try {
    edgedeploy::run(argc, argv);
    _exit(0);  // the answer is complete; no clean-up of a runtime may add to it
  } catch (const edgedeploy::Failure& failure) {
    stage = failure.stage;
    message = failure.what();
  } catch (const std::bad_alloc&) {
    stage = edgedeploy::stage();
    message = "out of memory";
  } catch (const std::exception& error) {
    stage = edgedeploy::stage();
    message = std::string("the runtime threw: ") + error.what();
  }
  edgedeploy::answer(Json().add("event", "error").add("stage", stage).add("message", message));
  _exit(stage == "arguments" ? 2 : 3);
}
