// What the simulated device was asked for, and in which order (`.ci/run simulate`): memory in four blocks before the
// first step, as many bytes as the back end says; and copies to the device that wait for no step.
import { expect, it } from 'vitest';
import { Graph } from '../../lib/graph/index.ts';
import { fill } from '../../lib/ops/index.ts';
import { Device, planMemory, type State } from '../../lib/program.ts';
import { close, imageBytes, stackedInputs, start } from './fed-step.ts';
import { type Line, SimulatedDevice, stepsIn } from './log.ts';

const simulated = new SimulatedDevice();

const blocksOf = (lines: readonly Line[]) => lines.filter(({ what }) => what === 'malloc').map(({ bytes }) => bytes);

async function freeBytes(device: Device, state: State): Promise<number> {
  const graph = new Graph();
  graph.name(fill(graph, { shape: [1], dtype: 'float32', format: 'plain' }, 1), 'one');
  return (await planMemory(graph, { device, state, keep: ['one'] })).availableBytes;
}

it('takes its memory in four blocks before the first step, and says how much', async ({ skip }) => {
  if (!simulated.isThere) return skip('the device cuda is not the simulation');
  const lines = simulated.logged('blocks');
  const device = await Device.open('cuda', { measureEngines: false });
  const empty = await device.createState([]);
  const own = blocksOf(await lines()); // a word for faults; staging of copies
  const before = await freeBytes(device, empty);
  const started = await start(device);
  const { program, state } = started;
  const variables = state.names.map((name) => state.spec(name).shape.reduce((product, size) => product * size, 4));
  const planned = [variables.reduce((sum, bytes) => sum + Math.ceil(bytes / 256) * 256, 0), program.plan.arenaBytes];
  const blocks = blocksOf(await lines());
  expect(blocks).toEqual([...own, ...planned]);
  expect(blocks.length).toBe(4);
  const taken = before - (await freeBytes(device, empty));
  expect(taken).toBe(planned.reduce((sum, bytes) => sum + bytes, 0));
  expect(device.memory().bytes).toBe(taken);

  const asked = (list: readonly Line[]) => list.filter(({ what }) => what.startsWith('malloc')).length;
  const earlier = asked(await lines());
  await program.run(4, { ...stackedInputs(4) });
  expect(asked(await lines())).toBe(earlier);
  expect(device.memory().bytes).toBe(taken);
  close(started);
  expect(await freeBytes(device, empty)).toBe(before);
  expect(device.memory()).toEqual({ bytes: 0, peakBytes: taken });
  await device.close();
});

it('brings the images of a step while the step before runs, and fills no slot that is in flight', async ({ skip }) => {
  if (!simulated.isThere) return skip('the device cuda is not the simulation');
  const steps = 20; // more than there are slots
  const device = await Device.open('cuda');
  const started = await start(device);
  await started.program.run(2, { ...stackedInputs(2) }); // the first step is launched, the second captured
  const lines = simulated.logged('order');
  await started.program.run(steps, { ...stackedInputs(steps) });
  const list = await lines();
  close(started);
  await device.close();

  const places = (holds: (line: Line) => boolean) => list.flatMap((line, at) => (holds(line) ? [at] : []));
  const line = (at: number) => list[at] as Line;
  const replays = places(({ what }) => what === 'replay');
  const copies = places(({ what, bytes }) => what === 'to_device' && bytes === imageBytes);
  const [compute, copy] = [line(replays[0] as number).about.at(-1), line(copies[0] as number).about.at(-1)];
  expect([replays.length, copies.length]).toEqual([steps, steps]);
  expect(copy).not.toBe(compute);
  expect(new Set(copies.map((at) => line(at).about.at(-1)))).toEqual(new Set([copy]));
  expect(new Set(replays.map((at) => line(at).about.at(-1)))).toEqual(new Set([compute]));

  // The copy stream waits for nothing, and until the last step is under way nobody waits for one.
  expect(places(({ what, about }) => what === 'wait' && about.at(-1) === copy)).toEqual([]);
  expect(places(({ what }) => what === 'synchronise')).toEqual([]);
  for (const { awaited } of stepsIn(list, imageBytes)) expect(awaited).toBeGreaterThan(replays.at(-1) as number);

  const nextOf = (from: number, holds: (line: Line) => boolean) => list.findIndex((one, at) => at > from && holds(one));
  copies.forEach((at, step) => {
    const [, slot] = line(at).about;
    // The step waits for its images: copied, recorded, waited for, moved to their place, before its launch.
    const arrived = line(nextOf(at, ({ what, about }) => what === 'record' && about.at(-1) === copy)).about[0];
    const waited = nextOf(at, ({ what, about }) => what === 'wait' && about[0] === arrived && about[1] === compute);
    const moved = nextOf(at, ({ what, bytes }) => what === 'on_device' && bytes === imageBytes);
    expect(at < waited && waited < moved && moved < (replays[step] as number)).toBe(true);
    // The step before is under way, and its end is not waited for: the slot's last user ended long before it.
    const earlier = copies.slice(0, step).findLast((other) => line(other).about[1] === slot);
    if (earlier === undefined) return;
    const recorded = nextOf(earlier, ({ what, about }) => what === 'record' && about.at(-1) === compute);
    const done = line(recorded).about[0];
    const seen = nextOf(recorded, ({ what, about }) => what === 'synchronise_event' && about[0] === done);
    expect(seen > recorded && seen < at).toBe(true);
    expect(recorded).toBeLessThan(replays[step - 1] as number);
  });
});
