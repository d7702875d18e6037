// The short form; bench/soak.ts is the long one.
import { expect, it } from 'vitest';
import { soak } from '../../bench/soak-run.ts';
import { testDevice } from './tiny.ts';

it('holds memory, handles and the event loop over a thousand steps', async () => {
  const { bytesPerStep, handles, longestBlockMs, idleThreadMs, steps } = await soak({
    steps: 1000,
    warmUp: 300,
    device: testDevice(),
  });
  expect(steps).toBe(1000);
  expect(handles.after).toBe(handles.before);
  expect(bytesPerStep).toBeLessThan(1024);
  // On a busy machine even a thread with nothing to do waits: then the wait says nothing about our code.
  expect(longestBlockMs).toBeLessThan(Math.max(20, 2 * idleThreadMs));
});
