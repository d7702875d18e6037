// The shared memory of the block that runs: an arena with a guard zone behind every array.
#pragma once

#include <cstddef>

namespace node_cudnn::simulation {

class SharedMemory {
 public:
  SharedMemory();
  void begin_block(size_t dynamic_bytes);  // everything undefined again: NaN
  void* array(const void* site, size_t bytes);
  void* dynamic() const { return dynamic_; }
  // What the kernel takes in all; throws KernelError beyond the device's limit.
  size_t bytes() const { return taken_; }

 private:
  struct Array {
    const void* site;
    char* address;
    size_t bytes;
  };
  char* take(size_t bytes);

  static constexpr size_t most_arrays = 32;
  char* arena_;
  size_t used_, taken_ = 0;
  char* dynamic_ = nullptr;
  Array arrays_[most_arrays];
  size_t count_ = 0;
};

}  // namespace node_cudnn::simulation
