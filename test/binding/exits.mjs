// One way for a process to end while a device is busy; exits.test.ts runs each in a process of its own.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const addon = createRequire(import.meta.url)('node-gyp-build')(fileURLToPath(new URL('../..', import.meta.url)));

const value = (name, storage, shape, format, more) => ({ name, dtype: 'float32', format, shape, storage, ...more });
const attributes = { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 };
const shape = [1, 8, 16, 16];
const layers = 40;
const graph = {
  values: [
    value('x', 'input', shape, 'activation'),
    value('w', 'variable', [8, 8, 3, 3], 'filter', { variable: 0 }),
    ...Array.from({ length: layers }, (_, i) => value(`y${i}`, 'temporary', shape, 'activation', { keep: true })),
  ],
  nodes: Array.from({ length: layers }, (_, i) => {
    return { op: 'conv2d', path: `conv${i}`, inputs: [i === 0 ? 0 : i + 1, 1], outputs: [i + 2], attributes };
  }),
};
const elements = 8 * 16 * 16;

async function open(name) {
  const device = await addon.openDevice(name, {});
  const state = await device.createState([{ name: 'w', dtype: 'float32', format: 'filter', shape: [8, 8, 3, 3] }]);
  const program = await device.compile(graph, state);
  return { device, state, program };
}

/** A device in the middle of a run, with more runs waiting. */
async function busy(name) {
  const opened = await open(name);
  const steps = 200;
  const x = new Float32Array(steps * elements);
  for (let i = 0; i < 20; i++) opened.program.run(steps, [x]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  return opened;
}

/** Picture threads with work for a while. */
function readPictures() {
  const picture = { bytes: new Uint8Array(300 * 300 * 3), width: 300, height: 300, box: [0, 0, 300, 300] };
  const pictures = new Array(20).fill({ ...picture, scaled: [1500, 1500], offset: [0, 0] });
  return addon.readPictures(pictures, { width: 1500, height: 1500, filter: 'bicubic', threads: 2 });
}

const inWorker = (scenario, device) => new Worker(new URL(import.meta.url), { workerData: { scenario, device } });
const ended = (worker) => new Promise((resolve) => worker.once('exit', resolve));
const ready = (worker) => new Promise((resolve) => worker.once('message', resolve));

const scenarios = {
  'idle device, natural end': async (device) => {
    await open(device);
  },
  'closed device, natural end': async (device) => {
    const { device: opened, program } = await open(device);
    program.run(3, [new Float32Array(3 * elements)]);
    await opened.close();
  },
  'waits for what was asked': async (device) => {
    const { program } = await open(device);
    program.run(50, [new Float32Array(50 * elements)]).then(() => process.stdout.write('done'));
  },
  'process.exit': async (device) => {
    await busy(device);
    process.exit(7);
  },
  'process.exit while opening': (device) => {
    addon.openDevice(device, {});
    process.exit(7);
  },
  'process.exit in an exit listener': async (device) => {
    process.on('exit', () => process.exit(7));
    await busy(device);
    process.exit(3);
  },
  'uncaught error': async (device) => {
    await busy(device);
    setImmediate(() => {
      throw new Error('uncaught');
    });
  },
  'unhandled rejection': async (device) => {
    await busy(device);
    Promise.reject(new Error('unhandled'));
  },
  'worker, natural end': async (device) => {
    process.exitCode = await ended(inWorker('idle device, natural end', device));
  },
  'worker, process.exit': async (device) => {
    process.exitCode = await ended(inWorker('process.exit', device));
  },
  'worker, uncaught error': async (device) => {
    const worker = inWorker('uncaught error', device);
    worker.on('error', () => {});
    process.exitCode = (await ended(worker)) === 1 ? 7 : 3;
  },
  'worker, terminated while busy': async (device) => {
    const worker = inWorker('busy', device);
    await ready(worker);
    await worker.terminate();
    process.exitCode = 7;
  },
  'worker, terminated at any moment': async (device) => {
    for (let i = 0; i < 12; i++) {
      const worker = inWorker('busy', device);
      await new Promise((resolve) => setTimeout(resolve, 10 + 15 * i));
      await worker.terminate();
    }
    process.exitCode = 7;
  },
  'process.exit with a busy worker': async (device) => {
    await ready(inWorker('busy', device));
    await busy(device);
    process.exit(7);
  },
  'pictures: waits for what was asked': () => {
    readPictures().then(() => process.stdout.write('done'));
  },
  'pictures: process.exit': () => {
    readPictures();
    process.exit(7);
  },
  'pictures: uncaught error': () => {
    readPictures();
    throw new Error('uncaught');
  },
  'pictures: worker, terminated while busy': async () => {
    const worker = inWorker('pictures: busy');
    await ready(worker);
    await worker.terminate();
    process.exitCode = 7;
  },
  'pictures: busy': () => {
    readPictures();
    parentPort.postMessage('ready');
  },
  busy: async (device) => {
    await busy(device);
    parentPort?.postMessage('ready');
  },
};

const { scenario, device } = isMainThread ? { scenario: process.argv[2], device: process.argv[3] } : workerData;
await scenarios[scenario](device);
