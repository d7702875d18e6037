#include "block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "fiber.h"
#include "include/simulation.h"
#include "races.h"
#include "shared.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace node_cudnn::simulation {
namespace {

constexpr unsigned warp_lanes = 32;
// As many threads of one kernel as a sanitizer is shown as different ones: all of two blocks of any size.
constexpr size_t most_watched = size_t{2} * Limits::threads;

// Places where the threads of one block meet, those of a warp or a barrier in turn: a thread may be one meeting ahead.
struct Meetings {
  uint64_t start, barrier[2], warp[Limits::threads / warp_lanes][2];
};

struct Lane {
  uint64_t value, result;
  int source;
  int worker;
};

// A warp operation in progress: it completes when every lane of `mask` has arrived.
struct Warp {
  unsigned mask = 0, arrived = 0, meeting = 0;
  Site site{};
  std::array<Lane, warp_lanes> lanes;
};

struct Worker {
  explicit Worker(Fiber::Body body) : fiber(body) {}
  Fiber fiber;
  unsigned thread = 0;
  bool idle = true;
  Site site{};  // where it waits
};

// The block that runs. A worker starts one thread after the other; only where a thread has to wait does the next one
// need a worker of its own, so a kernel without barriers runs on one. Where races are looked for, no worker is used
// twice in a kernel as long as there are others: it is one and the same thread to the sanitizer.
class Block {
 public:
  void begin_kernel();
  void end_kernel();
  void run(dim3 shape, uint64_t seed, const std::function<void()>& thread);
  void play();  // the body of a worker
  int barrier(Vote vote, bool predicate, Site site);
  uint64_t exchange(unsigned mask, uint64_t value, int source, bool vote, Site site);
  unsigned lane() const { return workers_[current_]->thread % warp_lanes; }
  SharedMemory& shared() { return shared_; }

  template <class Work>
  auto checked(Work work);  // an error in a fiber is thrown where the block was started
  void forget_workers() {
    workers_.clear();
    idle_.clear();
  }

 private:
  int pick_worker();
  int fresh_worker();
  void wait(Site site);
  void wake(int worker) { ready_.push_back(worker); }
  void shuffle_ready(size_t from);
  void open_barrier(Vote vote);
  Meetings& meetings() { return *meetings_.back(); }
  std::string describe_waiting() const;
  void place(unsigned thread) const;
  void complete(Warp& warp, bool vote);

  SharedMemory shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::deque<int> idle_;
  size_t taken_ = 0;  // workers, by this kernel
  std::vector<std::unique_ptr<Meetings>> meetings_;
  uint64_t end_ = 0;  // where the threads of a kernel meet the host
  const std::function<void()>* thread_ = nullptr;
  std::vector<unsigned> order_;
  std::deque<int> ready_;
  std::vector<Warp> warps_;
  std::vector<int> at_barrier_;
  Site barrier_site_{};
  int votes_ = 0, verdict_ = 0;
  unsigned barriers_ = 0;
  unsigned count_ = 0, started_ = 0, finished_ = 0;
  int current_ = 0;
  bool shuffled_ = false;
  std::mt19937_64 random_;
  std::string failure_;
};

Block& block() {
  static Block& one = *new Block;
  return one;
}

void play_block() { block().play(); }

void Block::begin_kernel() { taken_ = 0; }

void Block::end_kernel() {
  races::acquire(&end_);
  meetings_.clear();
}

void Block::run(dim3 shape, uint64_t seed, const std::function<void()>& thread) {
  if (meetings_.empty() || races::watched()) meetings_.push_back(std::make_unique<Meetings>());
  races::release(&meetings().start);
  thread_ = &thread;
  count_ = shape.x * shape.y * shape.z;
  started_ = finished_ = 0;
  ready_.clear();
  at_barrier_.clear();
  votes_ = 0;
  barriers_ = 0;
  warps_.assign((count_ + warp_lanes - 1) / warp_lanes, {});
  order_.resize(count_);
  for (unsigned i = 0; i < count_; ++i) order_[i] = i;
  shuffled_ = seed != 0;
  random_.seed(seed);
  if (shuffled_) std::shuffle(order_.begin(), order_.end(), random_);
  failure_.clear();
  for (int worker = pick_worker(); worker >= 0 && failure_.empty(); worker = pick_worker()) {
    current_ = worker;
    workers_[static_cast<size_t>(worker)]->fiber.enter();
  }
  if (failure_.empty() && finished_ < count_) failure_ = "threads wait for ever: " + describe_waiting();
  if (failure_.empty()) return;
  forget_workers();
  throw KernelError(failure_);
}

// In order, threads that can go on go first; shuffled, chance decides whether a new one starts before.
int Block::pick_worker() {
  const bool may_start = started_ < count_;
  if (!ready_.empty() && (!may_start || !shuffled_ || random_() % 2 == 0)) {
    const int worker = ready_.front();
    ready_.pop_front();
    return worker;
  }
  return may_start ? fresh_worker() : -1;
}

int Block::fresh_worker() {
  const bool other = races::watched() && taken_++ >= workers_.size() && workers_.size() < most_watched;
  if (idle_.empty() || other) {
    workers_.push_back(std::make_unique<Worker>(&play_block));
    return static_cast<int>(workers_.size()) - 1;
  }
  const int worker = idle_.front();
  idle_.pop_front();
  return worker;
}

void Block::place(unsigned thread) const {
  threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / (blockDim.x * blockDim.y)};
}

void Block::play() {
  const auto self = static_cast<size_t>(current_);
  while (true) {
    Worker& worker = *workers_[self];
    worker.idle = false;
    while (started_ < count_ && failure_.empty()) {
      worker.thread = order_[started_++];
      place(worker.thread);
      races::acquire(&meetings().start);
      try {
        (*thread_)();
      } catch (const std::exception& error) {
        failure_ = error.what();
      }
      races::release(&end_);
      ++finished_;
      if (races::watched() || (shuffled_ && !ready_.empty())) break;
    }
    worker.idle = true;
    if (races::watched())
      idle_.push_back(static_cast<int>(self));
    else
      idle_.push_front(static_cast<int>(self));
    worker.fiber.leave();
  }
}

void Block::wait(Site site) {
  Worker& worker = *workers_[static_cast<size_t>(current_)];
  worker.site = site;
  worker.fiber.leave();
  place(worker.thread);
}

void Block::shuffle_ready(size_t from) {
  if (shuffled_) std::shuffle(ready_.begin() + static_cast<std::ptrdiff_t>(from), ready_.end(), random_);
}

std::string Block::describe_waiting() const {
  std::map<std::string, int> places;
  for (const auto& worker : workers_)
    if (!worker->idle) ++places[std::string(worker->site.file) + ":" + std::to_string(worker->site.line)];
  std::string text;
  for (const auto& [place, threads] : places)
    text += (text.empty() ? "" : ", ") + std::to_string(threads) + " at " + place;
  return text + "; " + std::to_string(finished_) + " of " + std::to_string(count_) + " have returned";
}

int Block::barrier(Vote vote, bool predicate, Site site) {
  if (!at_barrier_.empty() && barrier_site_.line != site.line)
    throw KernelError("threads of a block meet at two barriers: " + std::string(site.file) + ":" +
                      std::to_string(site.line) + " and " + std::to_string(barrier_site_.line));
  barrier_site_ = site;
  const uint64_t* const meeting = &meetings().barrier[barriers_ % 2];
  races::release(meeting);
  votes_ += predicate;
  at_barrier_.push_back(current_);
  if (at_barrier_.size() == count_) open_barrier(vote);
  wait(site);
  races::acquire(meeting);
  return verdict_;
}

void Block::open_barrier(Vote vote) {
  verdict_ = vote == Vote::any ? votes_ > 0 : vote == Vote::all ? votes_ == static_cast<int>(count_) : votes_;
  votes_ = 0;
  ++barriers_;
  const size_t from = ready_.size();
  for (const int worker : at_barrier_) wake(worker);
  at_barrier_.clear();
  shuffle_ready(from);
}

void Block::complete(Warp& warp, bool vote) {
  uint64_t ballot = 0;
  for (unsigned i = 0; i < warp_lanes; ++i)
    if ((warp.mask >> i & 1) != 0 && warp.lanes[i].value != 0) ballot |= uint64_t{1} << i;
  const size_t from = ready_.size();
  for (unsigned i = 0; i < warp_lanes; ++i) {
    if ((warp.mask >> i & 1) == 0) continue;
    Lane& own = warp.lanes[i];
    const auto source = static_cast<unsigned>(own.source) % warp_lanes;
    const bool known = (warp.mask >> source & 1) != 0;
    own.result = vote ? ballot : known ? warp.lanes[source].value : ~uint64_t{0};  // of an absent lane: undefined
    wake(own.worker);
  }
  shuffle_ready(from);
  warp.mask = warp.arrived = 0;
  ++warp.meeting;
}

uint64_t Block::exchange(unsigned mask, uint64_t value, int source, bool vote, Site site) {
  const unsigned thread = workers_[static_cast<size_t>(current_)]->thread;
  Warp& warp = warps_[thread / warp_lanes];
  const unsigned lane = thread % warp_lanes, bit = 1u << lane;
  if ((mask & bit) == 0) throw KernelError("a lane is missing in its own mask");
  if (warp.arrived != 0 && (warp.mask != mask || warp.site.line != site.line))
    throw KernelError("lanes of a warp meet in two operations: " + std::string(site.file) + ":" +
                      std::to_string(site.line) + " and " + std::to_string(warp.site.line));
  warp.mask = mask;
  warp.site = site;
  warp.arrived |= bit;
  warp.lanes[lane] = {value, 0, source, current_};
  const uint64_t* const meeting = &meetings().warp[thread / warp_lanes][warp.meeting % 2];
  races::release(meeting);
  if (warp.arrived == mask) complete(warp, vote);
  wait(site);
  races::acquire(meeting);
  return warp.lanes[lane].result;
}

template <class Work>
auto Block::checked(Work work) {
  try {
    return work();
  } catch (const KernelError& error) {
    failure_ = error.what();
  }
  workers_[static_cast<size_t>(current_)]->fiber.leave();  // for good
  __builtin_unreachable();
}

}  // namespace

void* shared_array(const void* site, size_t bytes) {
  return block().checked([&] { return block().shared().array(site, bytes); });
}

void* dynamic_shared() { return block().shared().dynamic(); }

int barrier(Vote vote, bool predicate, Site site) {
  return block().checked([&] { return block().barrier(vote, predicate, site); });
}

void fail_unaligned(const void* address, size_t alignment) {
  block().checked([&]() -> int {
    throw KernelError("a load or store of " + std::to_string(alignment) + " bytes at an address that is " +
                      std::to_string(reinterpret_cast<uintptr_t>(address) % alignment) + " beyond a multiple of that");
  });
}

uint64_t exchange(unsigned mask, uint64_t value, int source, bool vote, Site site) {
  return block().checked([&] { return block().exchange(mask, value, source, vote, site); });
}

unsigned lane() { return block().lane(); }

bool fits(dim3 grid, dim3 block, size_t shared_bytes) {
  const bool filled = grid.x > 0 && grid.y > 0 && grid.z > 0 && block.x > 0 && block.y > 0 && block.z > 0;
  return filled && grid.x <= 0x7FFFFFFF && grid.y <= Limits::grid_y && grid.z <= Limits::grid_y &&
         block.z <= Limits::depth && uint64_t{block.x} * block.y * block.z <= Limits::threads &&
         shared_bytes <= Limits::shared_bytes;
}

void run_kernel(dim3 grid, dim3 shape, size_t shared_bytes, uint64_t seed, const std::function<void()>& thread) {
  static std::mutex& device = *new std::mutex;  // the built-in variables are the process's
  const std::lock_guard lock(device);
  gridDim = grid;
  blockDim = shape;
  std::vector<uint64_t> order(uint64_t{grid.x} * grid.y * grid.z);
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::mt19937_64 random(seed);
  if (seed != 0) std::shuffle(order.begin(), order.end(), random);
  block().begin_kernel();
  for (const uint64_t index : order) {
    blockIdx = {static_cast<unsigned>(index % grid.x), static_cast<unsigned>(index / grid.x % grid.y),
                static_cast<unsigned>(index / grid.x / grid.y)};
    block().shared().begin_block(shared_bytes);
    block().run(shape, seed == 0 ? 0 : random(), thread);
  }
  block().end_kernel();
}

}  // namespace node_cudnn::simulation
