import { connectDatabase, connectStores, runsOf, type Stores } from '../api/from-settings.ts';
import type { Endpoint } from '../api/runpod/endpoint.ts';
import type { RunKindName } from '../api/runs/run-kinds.ts';
import { createRunReader, type RunReader } from '../api/runs/run-view.ts';
import { endpointOf, type Runs } from '../api/runs/runs.ts';
import { messageOf, SettingsError } from '../base/errors.ts';
import { createLog, type Log } from '../base/log.ts';
import { readSettings, type Settings } from '../base/settings.ts';

const WHO = 'this command';

/** What a command that speaks to the cloud works with. */
export interface Workplace {
  settings: Settings;
  log: Log;
  runs: Runs;
  reader: RunReader;
  database: Stores['database'];
  /** Of what needs no more than Supabase, only Supabase's settings are asked for. @throws SettingsError */
  stores: () => Stores;
}

/**
 * Everything as the environment says; nothing is asked yet.
 * @throws SettingsError
 */
export function openWorkplace(
  endpoints?: (settings: Settings, log: Log) => Partial<Record<RunKindName, Endpoint>>,
): Workplace {
  const settings = readSettings();
  const log = commandLog(settings);
  const database = connectDatabase(settings, WHO);
  const runs = runsOf({ settings, database, endpoints: endpoints?.(settings, log), log });
  return {
    settings,
    log,
    database,
    stores: () => connectStores(settings, WHO),
    runs,
    reader: createRunReader(database, (message) => log.warn(message)),
  };
}

/** Where jobs of this kind run. @throws SettingsError that names what is missing, and the way without. */
export function requireEndpoint(runs: Runs, kind: RunKindName): Endpoint {
  try {
    return endpointOf(runs, kind);
  } catch (error) {
    throw new SettingsError(`${messageOf(error)}; --here needs none`, { cause: error });
  }
}

/** What went as it should is the command's own to tell. */
function commandLog({ LOG_LEVEL: level = 'warn' }: Settings): Log {
  return createLog({ level, format: 'text' });
}
