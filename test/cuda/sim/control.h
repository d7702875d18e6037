// How the simulated device behaves, and the state of its errors. The environment variable NODE_CUDNN_SIMULATION says
// "seed=3,bytes=1000000,fail=17,fuse=0,few=0,broken=1": shuffle blocks and threads, a device of so many bytes, the 17th
// call fails, cuDNN has nothing for fused convolutions, nothing for convolutions of fewer than four channels, the first
// of two engines fails when it is run (1) or waits for its stream, which no capture allows (2). With
// "kernel=10,plan=100,conv2d_relu=130" the device's clock runs by itself no more: it moves on by so many microseconds
// for each kernel of ours and each plan of cuDNN's, and for plans of the nodes that are named. It is read when the
// devices are counted; another text than before stands for another process: errors and counters start again.
// NODE_CUDNN_SIMULATION_LOG names a file that gets a line for every allocation and for everything that is put into a
// stream, in the order of the calls. NODE_CUDNN_SIMULATION_HOLD names a file that holds a number: nobody sees an event
// pass unless fewer waits for another stream than that have been put into streams since the file was named. So a test
// has its say before the device ends a step.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>

namespace node_cudnn::simulation {

void read_settings();
uint64_t seed();
bool fuses();
bool takes_few();
enum class Broken : uint8_t { no, fails, waits };
Broken first_engine();
uint64_t calls();  // since the settings changed

double milliseconds_now();  // on the device's clock
// What the device has just done: "kernel", or the op of a plan.
void done(const std::string& work);

// A line of the log: what, and the addresses, handles and sizes that it is about, the stream last.
void note(const char* what, std::initializer_list<const void*> about, size_t bytes = 0);

void count_wait();
void hold();  // waits for the test, but not for ever

// Every call of the runtime goes through one of these. `failure` is what the call returns where it is the one to fail.
using Call = std::function<cudaError_t()>;
cudaError_t call(cudaError_t failure, const Call& body);
// The same for calls that no capture allows.
cudaError_t call_outside_capture(cudaError_t failure, const Call& body);

// Runs work of the device; what it throws stays, as a device's faults do, until the process ends.
cudaError_t run_device(const std::function<void()>& work);
cudaError_t last_error(bool forget);

}  // namespace node_cudnn::simulation
