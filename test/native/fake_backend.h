// A back end for the tests of program/: float32 only, a handful of ops, and faults on request.
#pragma once

#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <thread>

#include "backend/backend.h"

namespace node_cudnn::fake {

struct Log {
  std::thread::id opened, closed;
  int allocations = 0;
  std::atomic<int> runs = 0;
  bool foreign_thread = false;  // any call from another thread than the one that opened it
  std::vector<int> waits;       // for which mark, where marks have to be waited for
  bool works_later = false;     // they have to
  int faulty_mark = -1;         // whose wait throws
  std::map<void*, size_t> memory;
  std::map<std::string, std::string> choices;
  size_t limit = size_t{1} << 30;
};

// add: y = a + b. fail: throws. wait: 20 ms. scratch: fills 1000 bytes of workspace, then copies.
class FakeKernel : public Kernel {
 public:
  FakeKernel(Log& log, const Node& node, size_t count) : log_(log), node_(node), count_(count) {}

  void run(const Arguments& arguments) override {
    ++log_.runs;
    if (node_.op == "fail") throw std::out_of_range("index 7 is out of range");
    if (node_.op == "break") throw std::runtime_error("break: the device is lost");
    if (node_.op == "wait") std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (node_.op == "scratch") std::memset(arguments.workspace, 0xff, 1000);
    auto* y = static_cast<float*>(arguments.outputs[0]);
    for (size_t i = 0; i < count_; ++i) {
      float sum = 0;
      for (size_t k = 0; k < node_.inputs.size(); ++k) sum += static_cast<const float*>(arguments.inputs[k])[i];
      y[i] = node_.op == "accumulate" ? y[i] + sum : sum;
    }
  }

 private:
  Log& log_;
  const Node& node_;
  size_t count_;
};

class FakeBackend : public Backend {
 public:
  explicit FakeBackend(Log& log) : log_(log) { log_.opened = std::this_thread::get_id(); }
  ~FakeBackend() override { log_.closed = std::this_thread::get_id(); }

  std::string description() const override { return "fake"; }
  std::vector<std::string> features() const override { return {}; }
  int threads() const override { return 1; }
  size_t bytes(const ValueType& type) const override { return static_cast<size_t>(elements(type.shape)) * 4; }

  Prepared prepare(const Graph& graph, const Node& node) override {
    check();
    if (node.op == "unknown") throw std::invalid_argument("no such op");
    Prepared prepared;
    auto count = static_cast<size_t>(elements(graph.values[static_cast<size_t>(node.outputs.at(0))].type.shape));
    prepared.kernel = std::make_unique<FakeKernel>(log_, node, count);
    prepared.implementation = "fake";
    if (node.op == "scratch") prepared.workspace_bytes = 1000;
    if (node.op == "add") prepared.in_place = {{0, 0}};
    return prepared;
  }

  size_t available() const override { return log_.limit; }
  void* allocate(size_t bytes) override {
    check();
    if (bytes > log_.limit) throw std::bad_alloc();
    ++log_.allocations;
    void* address = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    std::memset(address, 0, bytes);
    log_.memory[address] = bytes;
    return address;
  }
  void release(void* address) noexcept override {
    check();
    log_.memory.erase(address);
    std::free(address);
  }
  void write(const ValueType& type, const void* host, void* device) override {
    check();
    std::memcpy(device, host, bytes(type));
  }
  void read(const ValueType& type, const void* device, void* host) override {
    check();
    std::memcpy(host, device, bytes(type));
  }
  void synchronise() override { check(); }
  Wait mark() override {
    check();
    if (!log_.works_later) return {};
    return [this, mark = marks_++] {
      check();
      log_.waits.push_back(mark);
      if (mark == log_.faulty_mark) throw std::out_of_range("index 9 is out of range");
    };
  }

  // A second for each kernel.
  double measure(const std::function<void()>& launches) override {
    check();
    const int before = log_.runs;
    launches();
    return log_.runs - before;
  }
  std::string known_choice(const std::string& problem) const override {
    const auto found = log_.choices.find(problem);
    return found == log_.choices.end() ? "" : found->second;
  }
  void keep_choice(const std::string& problem, const std::string& choice) override { log_.choices[problem] = choice; }

 private:
  void check() const {
    if (std::this_thread::get_id() != log_.opened) log_.foreign_thread = true;
  }
  Log& log_;
  int marks_ = 0;
};

}  // namespace node_cudnn::fake
