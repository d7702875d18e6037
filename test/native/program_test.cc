#include "program/program.h"

#include <gtest/gtest.h>

#include <array>
#include <future>

#include "fake_backend.h"
#include "heap.h"
#include "program/error.h"

namespace node_cudnn {
namespace {

const ValueType four{DType::float32, Format::plain, {4}};
using Floats = std::vector<float>;

// A device over the fake back end; `on` runs work on its thread and hands the result or the exception back.
class ProgramTest : public ::testing::Test {
 protected:
  template <class Work>
  auto on(Work work) {
    std::packaged_task<decltype(work())()> task(work);
    auto result = task.get_future();
    device_.post([&task] { task(); });
    return result.get();
  }

  ProgramTest() {
    device_.post(
        [this] { device_.open([this](const auto&) { return std::make_unique<fake::FakeBackend>(log_); }, {}); });
    state_ = on([this] { return State::create(device_, {{"w", four}, {"v", four}}); });
  }
  ~ProgramTest() override {
    device_.abandon();
    EXPECT_FALSE(log_.foreign_thread);
    EXPECT_TRUE(log_.memory.empty());
  }

  // x in, y = a + b ... kept, and one node more of the given op that writes the variable v.
  static Graph graph(const std::string& op) {
    Graph g;
    g.values = {{"x", four, Storage::input, -1, false},    {"w", four, Storage::variable, 0, false},
                {"v", four, Storage::variable, 1, false},  {"sum", four, Storage::temporary, -1, false},
                {"y", four, Storage::temporary, -1, true}, {"dead", four, Storage::temporary, -1, false}};
    g.nodes = {{"add", "layer1", {0, 1}, {3}, {}},
               {"add", "layer2", {3}, {4}, {}},
               {"add", "dead", {3}, {5}, {}},
               {op, "layer3", {4}, {2}, {}}};
    return g;
  }

  std::shared_ptr<Program> compile(const std::string& op) {
    return on([&] { return Program::compile(device_, graph(op), *state_); });
  }
  void run(Program& program, size_t steps, const Floats& x) {
    on([&] {
      if (const Wait wait = program.start(steps, {reinterpret_cast<const std::byte*>(x.data())})) wait();
    });
  }
  Floats fetch(Program& program, size_t value) {
    Floats host(4);
    on([&] { program.fetch(value, host.data()); });
    return host;
  }
  template <class Work>
  void expect_error(ErrorCode code, const std::string& part, Work work) {
    try {
      work();
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }

  fake::Log log_;
  Device device_{"fake"};
  std::shared_ptr<State> state_;
};

TEST_F(ProgramTest, RunsEveryStepOnItsOwnSlice) {
  auto program = compile("accumulate");
  Floats w = {1, 2, 3, 4};
  on([&] { state_->write(0, w.data()); });
  run(*program, 3, {0, 0, 0, 0, 10, 10, 10, 10, 200, 200, 200, 200});
  EXPECT_EQ(fetch(*program, 4), (Floats{201, 202, 203, 204}));
  EXPECT_EQ(fetch(*program, 2), (Floats{213, 216, 219, 222}));  // the sum over the steps
}

TEST_F(ProgramTest, PlansWithoutDeadNodesAndInPlace) {
  auto program = compile("accumulate");
  const Plan& plan = program->plan();
  ASSERT_EQ(plan.nodes.size(), 3u);
  EXPECT_EQ(plan.nodes[2].node, 3);
  EXPECT_EQ(plan.offsets, (std::vector<int64_t>{0, -1, -1, 0, 0, -1}));
  EXPECT_EQ(plan.workspaces, (std::vector<int64_t>{-1, -1, -1}));
  EXPECT_EQ(plan.arena_bytes, 256u);
}

TEST_F(ProgramTest, AStepAllocatesNothing) {
  auto program = compile("accumulate");
  Floats x(400);
  run(*program, 1, x);
  int before = log_.allocations;
  auto heap_calls_of = [&](size_t steps) {
    const std::vector<const std::byte*> inputs = {reinterpret_cast<const std::byte*>(x.data())};
    return on([&] {
      int64_t calls = heap::calls();
      program->start(steps, inputs);
      return heap::calls() - calls;
    });
  };
  EXPECT_EQ(heap_calls_of(1), 0);
  EXPECT_EQ(heap_calls_of(100), 0);
  EXPECT_EQ(log_.allocations, before);
}

TEST_F(ProgramTest, APlanIsWhatCompileLaysOutAndTakesNoMemory) {
  const int before = log_.allocations;
  const Plan plan = on([&] { return Program::plan(device_, graph("scratch"), *state_); });
  EXPECT_EQ(log_.allocations, before);
  auto program = compile("scratch");
  EXPECT_EQ(plan.offsets, program->plan().offsets);
  EXPECT_EQ(plan.arena_bytes, program->plan().arena_bytes);
  EXPECT_EQ(plan.workspaces, program->plan().workspaces);
}

TEST_F(ProgramTest, AWorkspaceLiesInTheArena) {
  auto program = compile("scratch");
  const Plan& plan = program->plan();
  EXPECT_EQ(plan.workspaces, (std::vector<int64_t>{-1, -1, 0}));
  EXPECT_EQ(plan.nodes[2].workspace_bytes, 1000u);
  EXPECT_EQ(plan.arena_bytes, 1280u);
  run(*program, 1, {1, 2, 3, 4});
  EXPECT_EQ(fetch(*program, 4), (Floats{1, 2, 3, 4}));
  EXPECT_EQ(fetch(*program, 2), (Floats{1, 2, 3, 4}));
}

TEST_F(ProgramTest, AnErrorOfAStepNamesTheNodeAndLeavesTheProgramUsable) {
  auto program = compile("fail");
  for (int i = 0; i < 3; ++i) {
    expect_error(ErrorCode::argument, "fail layer3: index 7 is out of range", [&] { run(*program, 1, Floats(4)); });
  }
  EXPECT_EQ(fetch(*program, 4), Floats(4));
  auto broken = compile("break");
  expect_error(ErrorCode::device, "break layer3: the device is lost", [&] { run(*broken, 1, Floats(4)); });
  expect_error(ErrorCode::device, "break layer3: the device is lost", [&] {
    Floats x(4);
    on([&] { broken->profile({reinterpret_cast<const std::byte*>(x.data())}); });
  });
  run(*compile("accumulate"), 1, Floats(4));
}

TEST_F(ProgramTest, StartGivesWhatWaitsForTheLastStep) {
  log_.works_later = true;
  auto program = compile("accumulate");
  const Floats x(12);
  const auto start = [&] {
    return on([&] { return program->start(3, {reinterpret_cast<const std::byte*>(x.data())}); });
  };
  const std::array waits = {start(), start()};
  EXPECT_TRUE(log_.waits.empty());
  log_.faulty_mark = 1;
  on([&] { waits[0](); });
  EXPECT_THROW(on([&] { waits[1](); }), std::out_of_range);
  EXPECT_EQ(log_.waits, (std::vector{0, 1}));
}

TEST_F(ProgramTest, AnOpThatTheBackendRefusesIsAnErrorOfTheGraph) {
  expect_error(ErrorCode::graph, "unknown layer3: no such op", [&] { compile("unknown"); });
  EXPECT_EQ(log_.memory.size(), 1u);  // the state's
}

TEST_F(ProgramTest, OutOfMemorySaysHowMuchIsMissing) {
  log_.limit = 100;
  expect_error(ErrorCode::out_of_memory, "the program needs", [&] { compile("accumulate"); });
  expect_error(ErrorCode::out_of_memory, "(0.0 MB are available, ", [&] { compile("accumulate"); });
  expect_error(ErrorCode::out_of_memory, "the state of 1 variables needs", [&] {
    on([&] { return State::create(device_, {{"w", four}}); });
  });
  log_.limit = 1 << 20;
  compile("accumulate");
}

TEST_F(ProgramTest, ProfileTimesEveryNode) {
  auto program = compile("wait");
  Floats x(4);
  auto seconds = on([&] { return program->profile({reinterpret_cast<const std::byte*>(x.data())}); });
  ASSERT_EQ(seconds.size(), 3u);
  EXPECT_LT(seconds[0], 0.02);
  EXPECT_GE(seconds[2], 0.02);
}

TEST_F(ProgramTest, AStateOutlivesItsHandleWhileAProgramUsesIt) {
  auto program = compile("accumulate");
  on([&] { device_.discard(state_.get()); });
  run(*program, 2, {1, 1, 1, 1, 2, 2, 2, 2});
  EXPECT_EQ(fetch(*program, 2), Floats(4, 3));
  expect_error(ErrorCode::closed, "the state is closed", [&] { compile("accumulate"); });
  on([&] { device_.discard(program.get()); });
  EXPECT_EQ(device_.memory().bytes(), 0u);
  expect_error(ErrorCode::closed, "the program is closed", [&] { run(*program, 1, Floats(4)); });
  expect_error(ErrorCode::closed, "the program is closed", [&] { fetch(*program, 4); });
}

TEST_F(ProgramTest, AbandonStopsARunAtItsNextStep) {
  auto program = compile("wait");
  Floats x(4 * 1000);
  auto start = std::chrono::steady_clock::now();
  device_.post([&] { EXPECT_THROW(program->start(1000, {reinterpret_cast<const std::byte*>(x.data())}), Error); });
  while (log_.runs == 0) std::this_thread::yield();
  device_.abandon();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  EXPECT_LT(log_.runs, 1000);
}

}  // namespace
}  // namespace node_cudnn
