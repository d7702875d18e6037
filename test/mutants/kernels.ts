// Planted bugs of the kinds that kernels have, each in a real kernel of the CUDA back end or in what surrounds it, and
// the test on the simulated device that must find it: plain, with blocks and threads shuffled, or under a sanitizer.
import { fusedKernels } from './fusion.ts';
import { cudaOps, type Mutant, type Tests } from './mutant.ts';
import { slicedKernels } from './slices.ts';

const folder = 'native/backend/cuda';
const ops = cudaOps(
  'float32 (global_avg_pool|softmax_cross_entropy|batch_norm_add_relu_grad|max_pool2d) |bfloat16 bias_grad',
);
const shuffled = cudaOps('float32 softmax_cross_entropy_grad', { settings: 'seed=1' });
const address = cudaOps('float32 (flatten|ring_write)', { sanitizer: 'address' });
const races: Tests = {
  ...{ file: 'test/cuda/races.test.ts', names: 'topk_correct|ring_write' },
  simulation: { sanitizer: 'thread' },
};
const transfers: Tests = { file: 'test/cuda/transfer.test.ts', simulation: {} };
const streamed: Tests = { file: 'test/cuda/streamed.test.ts', simulation: {} };
const padded: Tests = { file: 'test/cuda/padded.test.ts', names: 'float32', simulation: {} };
const besides: Tests = { file: 'test/cuda/beside.test.ts', names: 'float32|stay', simulation: {} };
const timed: Tests = {
  ...{ file: 'test/cuda/simulation.test.ts', names: 'times the nodes|leaves an engine' },
  simulation: {},
};
const replays: Tests = { file: 'test/cuda/replay.test.ts', simulation: {} };

const barriers: readonly Mutant[] = [
  {
    bug: 'missing barrier: sums are read before other threads have written theirs',
    file: `${folder}/global_pool.cu`,
    find: 'slot(threadIdx.y, k) = sums[k];\n  __syncthreads();',
    replace: 'slot(threadIdx.y, k) = sums[k];',
    tests: ops,
  },
  {
    bug: 'missing second barrier: right only where the first thread runs first',
    file: `${folder}/rows.h`,
    find: '  count = block_sum(count);\n',
    replace: `  NODE_CUDNN_SHARED(int, all, 1);
  count = block_sum(count);
  if (threadIdx.x == 0) all[0] = count;
  count = all[0];\n`,
    tests: shuffled,
  },
  {
    bug: 'a barrier that some threads do not reach',
    file: `${folder}/global_pool.cu`,
    find: '  __syncthreads();\n  if (threadIdx.y != 0 || channel >= channels) return;',
    replace: '  if (threadIdx.y != 0 || channel >= channels) return;\n  __syncthreads();',
    tests: ops,
  },
  {
    bug: 'threads of a block wait at two barriers',
    file: `${folder}/global_pool.cu`,
    find: '  __syncthreads();\n  if (threadIdx.y != 0 || channel >= channels) return;',
    replace: `  if (threadIdx.y == 0)
    __syncthreads();
  else
    __syncthreads();
  if (threadIdx.y != 0 || channel >= channels) return;`,
    tests: ops,
  },
  {
    bug: 'lost update: all threads add to one number, without an atomic',
    file: `${folder}/metrics.cu`,
    find: '  sum = block_sum(sum);\n  if (threadIdx.x == 0) *count = sum;',
    replace: '  if (threadIdx.x == 0) *count = 0;\n  __syncthreads();\n  *count += sum;',
    tests: races,
  },
  {
    bug: 'two blocks write the same number',
    file: `${folder}/metrics.cu`,
    find: 'launch(ring_write_kernel<Word>, 1, 1,',
    replace: 'launch(ring_write_kernel<Word>, 2, 1,',
    tests: races,
  },
];

const memory: readonly Mutant[] = [
  {
    bug: 'shared memory is one column too small',
    file: `${folder}/flatten.cu`,
    find: 'NODE_CUDNN_SHARED(T, shared, tile * (tile + 1));',
    replace: 'NODE_CUDNN_SHARED(T, shared, tile* tile);',
    tests: address,
  },
  {
    bug: 'uninitialised shared memory: threads without a pixel leave their place as it was',
    file: `${folder}/global_pool.cu`,
    find: 'for (int k = 0; k < V; ++k) slot(threadIdx.y, k) = sums[k];',
    replace: 'for (int k = 0; k < V && static_cast<int>(threadIdx.y) < plane; ++k) slot(threadIdx.y, k) = sums[k];',
    tests: ops,
  },
  {
    bug: 'a store outside the device memory: the ring never turns',
    file: `${folder}/metrics.cu`,
    find: 'ring[(at % length + length) % length] = *value;',
    replace: 'ring[at + 0 * length] = *value;',
    tests: address,
  },
  {
    bug: 'a launch takes more shared memory than it may unasked',
    file: `${folder}/local_response_norm.cu`,
    find: 'constexpr size_t shared = size_t{48} << 10',
    replace: 'constexpr size_t shared = size_t{128} << 10',
    tests: cudaOps('float32 local_response_norm'),
  },
  {
    bug: 'vectors are loaded from places that are not aligned',
    file: `${folder}/concat.cu`,
    find: '(s.from_begin | s.from_stride | s.to_begin | s.to_stride) % full_vector<T> == 0;',
    replace: 's.channels > 0;',
    tests: cudaOps('bfloat16 slice_channels'),
  },
];

const arithmetic: readonly Mutant[] = [
  {
    bug: 'a warp leaves its sum in the last lane, and the first one writes',
    file: `${folder}/loss.cu`,
    find: '  loss = warp_sum(loss);',
    replace:
      '  for (int d = 1; d < warp_size; d *= 2) loss += __shfl_up_sync(all_lanes, loss, d) * (threadIdx.x >= unsigned(d));',
    tests: ops,
  },
  {
    bug: "stale mask: the first row's stays for all rows",
    file: `${folder}/batch_norm_grad.h`,
    find: '      if constexpr (tail == Tail::add_relu) passed = load<V>(in.passed + at);',
    replace: `      if constexpr (tail == Tail::add_relu) {
        if (!in.bias) in.passed += at;
        in.bias = in.weight;
        passed = load<V>(in.passed);
      }`,
    tests: ops,
  },
  {
    bug: 'the stride of a row is right at even sizes only',
    file: `${folder}/pool.cu`,
    find: '((int64_t{n} * h.in + i) * w.in + j)',
    replace: '((int64_t{n} * h.in + i) * (w.in / 2 * 2) + j)',
    tests: ops,
  },
  {
    bug: 'sums are kept in the half type of the inputs',
    file: `${folder}/bias.cu`,
    find: 'sums[k].sum += to_float(values.at[k]);',
    replace: 'sums[k].sum = to_float(from_float<T>(sums[k].sum + to_float(values.at[k])));',
    tests: ops,
  },
  {
    bug: 'the tail of a row is not masked',
    file: `${folder}/loss.cu`,
    find: 'k < s.classes; k += warp_size) sum +=',
    replace: 'k < (s.classes + warp_size - 1) / warp_size * warp_size; k += warp_size) sum +=',
    tests: ops,
  },
  {
    bug: 'what the launches before have summed is forgotten',
    file: `${folder}/weighted_sum.cu`,
    find: 'float sum = first ? 0 : *y;',
    replace: 'float sum = first ? 0 : 0 * *y;',
    tests: cudaOps('float32 weighted_sum'),
  },
];

const steps: readonly Mutant[] = [
  {
    bug: 'events of a profile are recorded for the graph alone',
    file: `${folder}/step.cc`,
    find: 'check(cudaEventRecordWithFlags(event_, stream, cudaEventRecordExternal), "cudaEventRecordWithFlags");',
    replace: 'check(cudaEventRecord(event_, stream), "cudaEventRecord");',
    tests: timed,
  },
  {
    bug: 'a profile is read before the device has passed its events',
    file: `${folder}/step.cc`,
    find: '  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");\n',
    replace: '',
    tests: timed,
  },
  {
    bug: 'an engine that no graph captures is not left, but ends the choice',
    file: `${folder}/step.cc`,
    find: '    throw LibraryError("it waits',
    replace: '    throw std::runtime_error("it waits',
    tests: timed,
  },
  {
    bug: 'a learning rate by value: every replay has that of the step before the capture',
    file: `${folder}/sgd.cu`,
    find: '    const float* scale = u.scaled ? input<float>(a, 1) : nullptr;',
    replace: `    const float* scale = u.scaled ? input<float>(a, 1) : nullptr;
    static float baked = 0;
    cudaStreamCaptureStatus capturing;
    cudaStreamIsCapturing(cuda.stream, &capturing);
    if (capturing == cudaStreamCaptureStatusNone)
      cudaMemcpyAsync(&baked, a.inputs[0], sizeof baked, cudaMemcpyDeviceToHost, cuda.stream);
    launch(+[](float* rate, float value) { *rate = value; }, 1, 1, 0, cuda.stream, static_cast<float*>(a.inputs[0]),
           baked);`,
    tests: replays,
  },
  {
    bug: 'an address by value: every program reads the labels of the first',
    file: `${folder}/loss.cu`,
    find: 'const auto* labels = input<int32_t>(a, 1);',
    replace: 'static const auto* labels = input<int32_t>(a, 1);',
    tests: ops,
  },
  {
    bug: 'the step that is captured is not run',
    file: `${folder}/step.cc`,
    find: 'if (!replay_) replay_ = std::make_unique<Replay>(stream_, launches_);',
    replace: 'if (!replay_) return void(replay_ = std::make_unique<Replay>(stream_, launches_));',
    tests: replays,
  },
  {
    bug: 'images are taken before the copy stream has brought them',
    file: `${folder}/transfer.cc`,
    find: '  check(cudaStreamWaitEvent(compute_, slot.arrived, 0), "cudaStreamWaitEvent");\n',
    replace: '',
    tests: replays,
  },
  {
    bug: 'a slot is filled again before the device is done with it',
    file: `${folder}/transfer.cc`,
    find: '  check(cudaEventSynchronize(slot.done), "cudaEventSynchronize");\n',
    replace: '',
    tests: replays,
  },
  {
    bug: 'images are copied when the step before is done',
    file: `${folder}/transfer.cc`,
    find: '  check(cudaMemcpyAsync(slot.device, slot.host, bytes, cudaMemcpyHostToDevice, copy_), "cudaMemcpyAsync");',
    replace: `  check(cudaEventRecord(slot.arrived, compute_), "cudaEventRecord");
  check(cudaStreamWaitEvent(copy_, slot.arrived, 0), "cudaStreamWaitEvent");
  check(cudaMemcpyAsync(slot.device, slot.host, bytes, cudaMemcpyHostToDevice, copy_), "cudaMemcpyAsync");`,
    tests: transfers,
  },
  {
    bug: 'a step is waited for before the next one is started',
    file: 'native/program/device.cc',
    find: 'in_flight_.size() == most_in_flight ||',
    replace: '!in_flight_.empty() ||',
    tests: streamed,
  },
  {
    bug: 'what a kernel complained of is laid to the next step too',
    file: `${folder}/marks.cc`,
    find: `    check(cudaMemsetAsync(fault_, 0, sizeof *fault_, compute_), "cudaMemsetAsync");
    check(cudaEventRecord`,
    replace: '    check(cudaEventRecord',
    tests: streamed,
  },
  {
    bug: 'a picture of few channels is read as if it had been padded',
    file: `${folder}/channels.cu`,
    find: 'source[row * from + channel]',
    replace: 'source[row * to + channel]',
    tests: padded,
  },
  {
    bug: 'behind a plan, running variances are those of the batch, not of what it was drawn from',
    file: `${folder}/batch_norm.cu`,
    find: 'variance * rows / (rows - 1)',
    replace: 'variance',
    tests: besides,
  },
  {
    bug: 'a plan takes channels of which cuDNN has nothing',
    file: `${folder}/beside.cc`,
    find: 'channels % 8 == 0',
    replace: 'channels % 4 == 0',
    tests: besides,
  },
  {
    bug: 'captured steps are never given back',
    file: `${folder}/step.h`,
    find: '~Replay() { cudaGraphExecDestroy(graph_); }',
    replace: '~Replay() = default;',
    tests: replays,
  },
];

const float16: readonly Mutant[] = [
  {
    bug: 'a gradient that is not a number passes as finite',
    file: `${folder}/loss_scale.cu`,
    find: 'count += !(fabsf(values.at[k]) <= FLT_MAX);',
    replace: 'count += fabsf(values.at[k]) > FLT_MAX;',
    tests: cudaOps('float32 unscale'),
  },
  {
    bug: 'the first gradient alone says whether all are finite',
    file: `${folder}/loss_scale.cu`,
    find: 'if (threadIdx.x == 0) bad[chunk] = count;',
    replace: 'if (threadIdx.x == 0) bad[chunk] = value == 0 ? count : 0;',
    tests: cudaOps('float32 unscale'),
  },
  {
    bug: 'a bad number behind the first 4096 of its gradient passes as finite',
    file: `${folder}/loss_scale.cu`,
    find: 'if (threadIdx.x == 0) bad[chunk] = count;',
    replace: 'if (threadIdx.x == 0) bad[chunk] = chunk == table.first_chunk[value] ? count : 0;',
    tests: cudaOps('float32 unscale .* bad at'),
  },
  {
    bug: 'variables are restored after good steps',
    file: `${folder}/snapshot.cu`,
    find: 'if (keep && *keep != 0) return;',
    replace: 'if (keep && *keep == 0) return;',
    tests: cudaOps('float32 restore'),
  },
];

export const kernels: readonly Mutant[] = [
  ...barriers,
  ...memory,
  ...arithmetic,
  ...steps,
  ...float16,
  ...fusedKernels,
  ...slicedKernels,
];
