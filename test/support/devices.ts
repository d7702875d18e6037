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

/**
 * Whether there is such a device here, and why not: a build has its plug-in also where the driver or the device is missing.
 * A simulated device is never missing, so there an error stays one.
 */
export async function presence(name: string): Promise<{ readonly available: boolean; readonly reason: string }> {
  const backend = Device.backends().find((candidate) => candidate.name === name);
  if (!backend?.available) return { available: false, reason: backend?.reason ?? `this build has no device ${name}` };
  try {
    await (await Device.open(name)).close();
    return { available: true, reason: '' };
  } catch (error) {
    if (process.env.NODE_CUDNN_PREBUILD?.includes('simulation')) throw error;
    return { available: false, reason: (error as Error).message };
  }
}
