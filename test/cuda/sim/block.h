// Plays a kernel on the host: block after block, the threads of a block as fibers.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <stdexcept>

namespace node_cudnn::simulation {

// A kernel that no device would finish, or not in the same way twice: threads stuck, or gone before a barrier.
class KernelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Limits {
  static constexpr unsigned threads = 1024, depth = 64, grid_y = 65535;
  static constexpr size_t shared_bytes = size_t{48} << 10;  // static and dynamic; kernels here ask for no more
};

bool fits(dim3 grid, dim3 block, size_t shared_bytes);

// `seed` 0 takes blocks and threads in order; any other one shuffles both, between barriers too.
void run_kernel(dim3 grid, dim3 block, size_t shared_bytes, uint64_t seed, const std::function<void()>& thread);

}  // namespace node_cudnn::simulation
