import { defineCommand } from '../command.ts';
import { RUN_ID, idOf } from '../ids.ts';

export const cancel = defineCommand({
  name: 'cancel',
  summary: 'Cancel a run: its row, then its job at RunPod, or those of all its shards',
  positionals: { id: RUN_ID },
  async run({ args, io }) {
    const id = idOf('ID', args.id);
    const { openWorkplace } = await import('../workplace.ts');
    const { cancelRun } = await import('../../api/runs/cancel.ts');
    const cancelled = await cancelRun(openWorkplace().runs, id);
    const where = cancelled.ended_at_runpod
      ? 'so is its job at RunPod'
      : 'its worker, where it has one, stops when it looks';
    io.result(cancelled, `Run ${id} is cancelled; ${where}`);
    return undefined;
  },
});
