// What NVIDIA's libraries would do, done by the reference's loops: operands come as the device stores them.
#include "backend/cuda/libraries.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <utility>

#include "backend/reference/reference.h"
#include "control.h"
#include "stream.h"

namespace node_cudnn::cuda {
namespace {

using Numbers = std::vector<float>;

float number_at(DType dtype, const void* data, size_t i) {
  if (dtype == DType::bfloat16) return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
  if (dtype == DType::float16) return __half2float(static_cast<const __half*>(data)[i]);
  if (dtype == DType::uint8) return static_cast<const uint8_t*>(data)[i];
  return static_cast<const float*>(data)[i];
}

void set_number(DType dtype, void* data, size_t i, float value) {
  if (dtype == DType::bfloat16)
    static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(value);
  else if (dtype == DType::float16)
    static_cast<__half*>(data)[i] = __float2half_rn(value);
  else if (dtype == DType::uint8)
    static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(value);
  else
    static_cast<float*>(data)[i] = value;
}

// Calls f(logical, stored) for every element: a shape of rank 4 has its second axis stored last.
template <class F>
void for_elements(const Shape& shape, const F& f) {
  if (shape.size() != 4) {
    for (int64_t i = 0; i < elements(shape); ++i) f(static_cast<size_t>(i), static_cast<size_t>(i));
    return;
  }
  const int64_t plane = shape[2] * shape[3];
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t c = 0; c < shape[1]; ++c)
      for (int64_t pixel = 0; pixel < plane; ++pixel)
        f(static_cast<size_t>((n * shape[1] + c) * plane + pixel),
          static_cast<size_t>((n * plane + pixel) * shape[1] + c));
}

// A node of the reference in float32, and what its values are stored as.
class ReferencePlan final : public Plan {
 public:
  // `accumulates`: the outputs behind the first are added to what the memory holds.
  // The last `hidden` outputs are nobody's.
  ReferencePlan(Graph graph, std::vector<DType> stored, bool accumulates, size_t hidden)
      : work_(std::make_shared<Work>()), hidden_(hidden) {
    work_->graph = std::move(graph);
    work_->stored = std::move(stored);
    work_->accumulates = accumulates;
    Prepared prepared = make_reference_backend({})->prepare(work_->graph, work_->graph.nodes[0]);
    work_->kernel = std::move(prepared.kernel);
    work_->workspace.resize(prepared.workspace_bytes / sizeof(double) + 1);
  }

  void run(cudaStream_t stream, const Arguments& a) override {
    const Node& node = work_->graph.nodes[0];
    std::vector<void*> addresses(a.inputs, a.inputs + node.inputs.size());
    addresses.insert(addresses.end(), a.outputs, a.outputs + node.outputs.size() - hidden_);
    simulation::enqueue(stream, [work = work_, addresses] {
      work->run(addresses);
      simulation::done(work->graph.nodes[0].op);
    });
  }

  size_t workspace_bytes() const override { return 0; }

 private:
  struct Work {
    Graph graph;
    std::vector<DType> stored;
    std::unique_ptr<Kernel> kernel;
    std::vector<double> workspace;  // on the host
    bool accumulates = false;

    void run(const std::vector<void*>& addresses) {
      const size_t first_output = graph.nodes[0].inputs.size();
      std::vector<Numbers> dense;
      std::vector<void*> places;
      for (size_t i = 0; i < graph.values.size(); ++i) {
        const auto& [dtype, format, shape] = graph.values[i].type;
        void* const place = dense.emplace_back(static_cast<size_t>(elements(shape))).data();
        if (i < first_output)
          for_elements(shape, [&](size_t to, size_t from) {
            set_number(dtype, place, to, number_at(stored[i], addresses[i], from));
          });
        places.push_back(place);
      }
      kernel->run({places.data(), places.data() + first_output, workspace.data()});
      for (size_t i = first_output; i < addresses.size(); ++i) {
        const bool adds = accumulates && i > first_output;
        const auto& [dtype, format, shape] = graph.values[i].type;
        for_elements(shape, [&, dtype = dtype](size_t from, size_t to) {
          const float before = adds ? number_at(stored[i], addresses[i], to) : 0;
          set_number(stored[i], addresses[i], to, before + number_at(dtype, places[i], from));
        });
      }
    }
  };
  std::shared_ptr<Work> work_;
  size_t hidden_;
};

// An engine that a library offers, and that does not keep what it promises.
class BrokenPlan final : public Plan {
 public:
  BrokenPlan(std::unique_ptr<Plan> plan, simulation::Broken how) : plan_(std::move(plan)), how_(how) {}

  void run(cudaStream_t stream, const Arguments& a) override {
    if (how_ == simulation::Broken::fails) throw LibraryError("an engine of the simulation fails");
    cudaStreamSynchronize(stream);
    plan_->run(stream, a);
  }
  size_t workspace_bytes() const override { return plan_->workspace_bytes(); }

 private:
  std::unique_ptr<Plan> plan_;
  simulation::Broken how_;
};

struct Operand {
  Format format;
  Shape shape;
};

// The last `outputs` of the operands are the node's outputs.
std::unique_ptr<Plan> plan(Node node, const std::vector<Operand>& operands, std::vector<DType> stored,
                           size_t outputs = 1, bool accumulates = false, size_t hidden = 0) {
  Graph graph;
  for (size_t i = 0; i < operands.size(); ++i) {
    const DType dtype = stored[i] == DType::uint8 ? DType::uint8 : DType::float32;
    graph.values.push_back({"", {dtype, operands[i].format, operands[i].shape}});
    (i + outputs < operands.size() ? node.inputs : node.outputs).push_back(static_cast<int>(i));
  }
  graph.nodes.push_back(std::move(node));
  return std::make_unique<ReferencePlan>(std::move(graph), std::move(stored), accumulates, hidden);
}

// The operands of a pass: (x, w) -> y, (dy, w) -> dx, (x, dy) -> dw; behind (x, w) a bias and a residual.
std::vector<Operand> operands_of(Pass pass, Operand x, Operand w, Operand y, bool bias, bool residual = false) {
  if (pass == Pass::dgrad) return {y, w, x};
  if (pass == Pass::wgrad) return {x, y, w};
  std::vector<Operand> operands{x, w};
  if (bias) operands.push_back({Format::plain, {y.shape[1]}});
  if (residual) operands.push_back(y);
  operands.push_back(y);
  return operands;
}

std::vector<DType> stored_as(size_t count, DType dtype, DType result) {
  std::vector<DType> stored(count, dtype);
  stored.back() = result;
  return stored;
}

const char* suffix(Pass pass) { return pass == Pass::forward ? "" : pass == Pass::dgrad ? "_dgrad" : "_wgrad"; }

std::string name_of(const Convolution& c) {
  if (c.prologue || c.statistics)
    return std::string(c.prologue ? (c.residual ? "scaled_add_" : "scaled_") : "") + "conv2d" + suffix(c.pass) +
           (c.statistics ? "_statistics" : "");
  if (c.is_fused()) return c.residual ? "conv2d_add_relu" : "conv2d_relu";
  return std::string("conv2d") + suffix(c.pass);
}

std::string name_of(const Normalization& n) {
  return std::string("batch_norm") + (n.residual ? "_add" : "") + (n.relu ? "_relu" : "") + (n.backward ? "_grad" : "");
}

template <size_t n>
std::vector<double> doubles(const std::array<int64_t, n>& values) {
  return {values.begin(), values.end()};
}

Shape shape_of(const std::array<int64_t, 4>& sizes) { return {sizes.begin(), sizes.end()}; }

class ReferenceLibraries final : public Libraries {
 public:
  explicit ReferenceLibraries(bool deterministic) : deterministic_(deterministic) {}

  std::string versions() const override { return "the reference in the place of cuDNN and cuBLASLt"; }

  // Two, so that choosing is exercised.
  std::vector<Candidate> candidates(const Convolution& c) override {
    if (c.is_fused() && !simulation::fuses()) return {};
    if (accumulates(c) && deterministic_) return {};
    if (c.pass == Pass::wgrad && c.prologue && c.dtype == DType::bfloat16) return {};  // as cuDNN
    if (c.groups == 1 && c.x[1] < 4 && !simulation::takes_few()) return {};
    return both(accumulates(c));
  }
  std::vector<Candidate> candidates(const Normalization&) override { return both(); }
  std::vector<Candidate> candidates(const Pooling&) override { return both(); }
  std::vector<Candidate> candidates(const Product&) override { return both(); }

  std::unique_ptr<Plan> build(const Convolution& c, const Candidate& candidate) override {
    Node node{name_of(c), "", {}, {}, {}};
    node.attributes.set("stride", doubles(c.stride));
    node.attributes.set("padding", doubles(c.padding));
    node.attributes.set("dilation", doubles(c.dilation));
    node.attributes.set("groups", static_cast<double>(c.groups));
    auto operands = operands_of(c.pass, {Format::activation, shape_of(c.x)}, {Format::filter, shape_of(c.w)},
                                {Format::activation, shape_of(c.y)}, c.bias, c.residual && !c.prologue);
    std::vector<DType> stored = stored_as(operands.size(), c.dtype, c.result);
    const bool adds = c.prologue && c.residual;
    if (adds) {
      operands.insert(operands.begin() + 1, Operand{Format::activation, shape_of(c.x)});
      stored.insert(stored.begin() + 1, c.dtype);
    }
    if (c.prologue) {
      operands.insert(operands.begin() + 1, 2, {Format::plain, {c.x[1]}});
      stored.insert(stored.begin() + 1, 2, c.dtype);
    }
    if (!c.statistics) return plan(std::move(node), operands, stored);
    if (c.pass == Pass::dgrad) {  // its output moves behind the operands of the normalisation
      operands.push_back(operands.back());
      stored.push_back(c.dtype);
      operands.insert(operands.end() - 1, 4, {Format::plain, {c.x[1]}});
      stored.insert(stored.end() - 1, 4, DType::float32);
    }
    operands.resize(operands.size() + 2, {Format::plain, {c.pass == Pass::dgrad ? c.x[1] : c.w[0]}});
    stored.resize(operands.size(), DType::float32);
    if (!adds) return plan(std::move(node), operands, stored, 3, candidate.accumulates);
    operands.push_back(operands.front());
    stored.push_back(c.dtype);
    return plan(std::move(node), operands, stored, 4, candidate.accumulates);
  }

  std::unique_ptr<Plan> build(const Normalization& n, const Candidate&) override {
    Node node{name_of(n), "", {}, {}, {}};
    node.attributes.set("epsilon", static_cast<double>(n.epsilon));
    node.attributes.set("momentum", 0.0);
    const Operand activation{Format::activation, shape_of(n.x)}, channels{Format::plain, {n.x[1]}};
    const size_t activations = n.backward ? (n.residual ? 3 : 2) : (n.residual ? 2 : 1);
    const size_t vectors = n.backward && (n.residual || !n.relu) ? 3 : n.backward ? 4 : 2;
    const size_t results = n.backward && n.residual ? 2 : 1, statistics = n.backward ? 2 : 4;
    std::vector<Operand> operands;
    std::vector<DType> stored;
    const auto add = [&](size_t count, const Operand& operand, DType dtype) {
      operands.insert(operands.end(), count, operand);
      stored.insert(stored.end(), count, dtype);
    };
    add(activations, activation, n.dtype);
    add(vectors, channels, DType::float32);
    add(results, activation, n.dtype);
    add(statistics, channels, DType::float32);
    // The reference keeps running statistics too.
    return plan(std::move(node), operands, stored, results + statistics, false, n.backward ? 0 : 2);
  }

  std::unique_ptr<Plan> build(const Pooling& p, const Candidate&) override {
    Node node{std::string(p.maximum ? "max_pool2d" : "avg_pool2d") + (p.backward ? "_grad" : ""), "", {}, {}, {}};
    node.attributes.set("kernel", doubles(p.kernel));
    node.attributes.set("stride", doubles(p.stride));
    node.attributes.set("padding", doubles(p.padding));
    node.attributes.set("dilation", std::vector<double>{1, 1});
    if (!p.maximum) node.attributes.set("count_include_pad", p.count_padding ? 1.0 : 0.0);
    const Operand x{Format::activation, shape_of(p.x)}, y{Format::activation, shape_of(p.y)};
    if (!p.maximum)
      return plan(std::move(node), p.backward ? std::vector{y, x} : std::vector{x, y}, {p.dtype, p.dtype});
    if (p.backward) return plan(std::move(node), {y, y, x}, {p.dtype, DType::uint8, p.dtype});
    return plan(std::move(node), {x, y, y}, {p.dtype, p.dtype, DType::uint8}, 2);
  }

  std::unique_ptr<Plan> build(const Product& p, const Candidate& candidate) override {
    Node node{std::string("linear") + suffix(p.pass), "", {}, {}, {}};
    const auto operands = operands_of(p.pass, {Format::plain, {p.n, p.in}}, {Format::plain, {p.out, p.in}},
                                      {Format::plain, {p.n, p.out}}, p.bias);
    auto made = plan(std::move(node), operands, stored_as(operands.size(), p.dtype, p.result));
    const simulation::Broken how = simulation::first_engine();
    if (how == simulation::Broken::no || candidate.name != first_name) return made;
    return std::make_unique<BrokenPlan>(std::move(made), how);
  }

 private:
  static constexpr const char* first_name = "reference";

  // As cuDNN has it: of sums in bfloat16 there is nothing but engines with atomics.
  static bool accumulates(const Convolution& c) { return c.statistics && c.dtype == DType::bfloat16; }
  static std::vector<Candidate> both(bool accumulates = false) {
    return {{first_name, false, nullptr, accumulates}, {"reference again", false, nullptr, accumulates}};
  }

  const bool deterministic_;
};

}  // namespace

void expect_driver() {}

std::unique_ptr<Libraries> open_libraries(const Cuda& cuda, const BackendOptions&) {
  return std::make_unique<ReferenceLibraries>(cuda.deterministic);
}

}  // namespace node_cudnn::cuda
