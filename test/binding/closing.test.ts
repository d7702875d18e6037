// The end of devices, states and programs, in whatever order it comes.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { native } from '../../lib/native.ts';
import { devices, failure, graph, variables } from './fixture.ts';

const addon = native();
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe.each(devices)('closing on %s', (name) => {
  async function opened() {
    const device = await addon.openDevice(name, {});
    const state = await device.createState(variables);
    return { device, state, program: await device.compile(graph, state) };
  }
  const inputs = () => [new Float32Array(4), new Int32Array(2)];

  it('frees the memory, in whatever order', async () => {
    type Part = 'state' | 'program';
    for (const order of [['state', 'program'], ['program', 'state'], ['state'], []] as Part[][]) {
      const all = await opened();
      const { device } = all;
      expect(device.memory().bytes).toBeGreaterThan(0);
      for (const part of order) all[part].close();
      await device.close();
      expect(device.memory().bytes).toBe(0);
      expect(device.memory().peakBytes).toBeGreaterThan(0);
    }
  });

  it('frees a program at once, while the device lives', async () => {
    const { device, state, program } = await opened();
    const before = device.memory().bytes;
    program.close();
    await state.read(0);
    expect(device.memory().bytes).toBeLessThan(before);
    await device.close();
  });

  it('frees what nobody refers to any more', async () => {
    const device = await addon.openDevice(name, {});
    await (async () => {
      await device.compile(graph, await device.createState(variables));
    })();
    const held = device.memory().bytes;
    expect(held).toBeGreaterThan(0);
    for (let i = 0; i < 20 && device.memory().bytes > 0; i++) {
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(device.memory().bytes).toBe(0);
    await device.close();
  });

  it('a state closed under a program lives as long as the program', async () => {
    const { device, state, program } = await opened();
    state.close();
    await program.run(1, inputs());
    expect(await program.fetch(2)).toEqual(Int32Array.of(1));
    program.close();
    await device.createState([]);
    expect(device.memory().bytes).toBe(0);
    await device.close();
  });

  it('what is closed says so', async () => {
    const { device, state, program } = await opened();
    const second = await device.compile(graph, state);
    for (let i = 0; i < 2; i++) program.close();
    const closedProgram = { code: 'ERR_CLOSED', message: expect.stringContaining('this program is closed') };
    expect(await failure(() => program.run(1, inputs()))).toMatchObject(closedProgram);
    expect(await failure(() => program.fetch(4))).toMatchObject(closedProgram);
    expect(await failure(() => program.profile(inputs()))).toMatchObject(closedProgram);
    for (let i = 0; i < 2; i++) state.close();
    const closedState = { code: 'ERR_CLOSED', message: expect.stringContaining('this state is closed') };
    expect(await failure(() => state.read(0))).toMatchObject(closedState);
    expect(await failure(() => state.write(0, new Float32Array(4)))).toMatchObject(closedState);
    expect(await failure(() => device.compile(graph, state))).toMatchObject(closedState);
    for (let i = 0; i < 2; i++) await device.close();
    const closedDevice = { code: 'ERR_CLOSED', message: expect.stringContaining(`device '${name}' is closed`) };
    expect(await failure(() => second.run(1, inputs()))).toMatchObject(closedDevice);
    expect(await failure(() => device.createState([]))).toMatchObject(closedDevice);
  });

  it('waits for what is enqueued', async () => {
    const { device, program } = await opened();
    const settled: string[] = [];
    const runs = [1, 2, 3].map((i) => program.run(1, inputs()).then(() => settled.push(`run ${i}`)));
    await Promise.all([...runs, device.close().then(() => settled.push('closed'))]);
    expect(settled).toEqual(['run 1', 'run 2', 'run 3', 'closed']);
  });

  it('asks for more than there is: an error, and the device lives on', async () => {
    const { device, state } = await opened();
    const huge = { dtype: 'float32', format: 'plain', shape: [2 ** 40] } as const;
    const many = Array.from({ length: 64 }, (_, i) => ({ name: `v${i}`, ...huge }));
    const error = await failure(() => device.createState(many));
    expect(error.code).toBe('ERR_OUT_OF_MEMORY');
    expect(error.message).toMatch(/the state of 64 variables needs \d+.* MB/);
    await state.read(0);
    await device.close();
  });
});
