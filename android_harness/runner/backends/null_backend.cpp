// No runtime at all: outputs are the inputs, and a run does nothing. What it measures is the runner's own cost.
#include <cstring>

#include "backend.h"
#include "registry.h"

namespace edgedeploy {
namespace {

class NullBackend : public Backend {
 public:
  std::string open(const LoadOptions&) override { return ""; }
  void load(const LoadOptions&) override {}
  const std::vector<TensorSpec>& inputs() const override { return specs_; }
  const std::vector<TensorSpec>& outputs() const override { return specs_; }

  void set_inputs(const Tensor* tensors, size_t count) override {
    tensors_ = tensors;
    specs_.clear();
    for (size_t i = 0; i < count; i++) specs_.push_back(tensors[i].spec());
  }

  void run() override {}

  std::vector<Tensor> read_outputs() override {
    std::vector<Tensor> copies;
    for (size_t i = 0; i < specs_.size(); i++) {
      copies.emplace_back(specs_[i]);
      std::memcpy(copies.back().data(), tensors_[i].data(), tensors_[i].size_bytes());
    }
    return copies;
  }

 private:
  const Tensor* tensors_ = nullptr;
  std::vector<TensorSpec> specs_;
};

std::unique_ptr<Backend> make(const LoadOptions&) { return std::make_unique<NullBackend>(); }

const RegisterBackend registration({"null", make, false});

}  // namespace
}  // namespace edgedeploy
