// A stack of its own that can be left and entered again, on one host thread.
#pragma once

#include <cstddef>

namespace node_cudnn::simulation {

class Fiber {
 public:
  using Body = void (*)();

  explicit Fiber(Body body);  // runs body() when entered first; body must leave and never return
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void enter();  // from the host's own stack; comes back when the fiber leaves
  void leave();  // from within

 private:
  struct Context;
  Context* context_;
};

}  // namespace node_cudnn::simulation
