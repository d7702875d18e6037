import { afterAll, beforeAll } from 'vitest';
import { Device } from '../../lib/program.ts';

export interface Devices {
  readonly reference: Device;
  /** Two threads wide. */
  readonly cpu: Device;
}

/** Opened before the tests of a file, which are the first to read them, and closed after the last. */
export function openDevices(): Devices {
  const devices = {} as { reference: Device; cpu: Device };
  beforeAll(async () => {
    devices.reference = await Device.open('reference');
    devices.cpu = await Device.open('cpu', { threads: 2 });
  });
  afterAll(async () => {
    await devices.reference.close();
    await devices.cpu.close();
  });
  return devices;
}
