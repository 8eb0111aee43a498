import { SETTINGS_SCHEMA, type Settings, type SettingsLook } from '../../base/settings.ts';
import { isSlipOf } from '../similar.ts';
import type { Finding } from './finding.ts';

const NAMES = Object.keys(SETTINGS_SCHEMA.shape);

/** What is of no use without the other. */
const PAIRS: readonly { has: keyof Settings; needs: keyof Settings }[] = [
  { has: 'SUPABASE_URL', needs: 'SUPABASE_SERVICE_ROLE_KEY' },
  { has: 'SUPABASE_SERVICE_ROLE_KEY', needs: 'SUPABASE_URL' },
  { has: 'QDRANT_API_KEY', needs: 'QDRANT_URL' },
  { has: 'RUNPOD_ENDPOINT_EMBEDDING', needs: 'RUNPOD_API_KEY' },
  { has: 'RUNPOD_ENDPOINT_CLS_TRAINING', needs: 'RUNPOD_API_KEY' },
  { has: 'API_WEBHOOK_SECRET', needs: 'API_PUBLIC_URL' },
];

/** Each setting by itself, those that go together, and names that are nearly one. */
export function checkSettings({ settings, faults, names: variables }: SettingsLook): Finding[] {
  const isWrong = (setting: string): boolean => faults.some(({ name }) => name === setting);
  const wrong = faults.map(({ name, message }): Finding => {
    return { check: `setting ${name}`, status: 'failed', detail: message, advice: 'see .env.example' };
  });
  const halves = PAIRS.flatMap(({ has, needs }): Finding[] => {
    if (settings[has] === undefined || settings[needs] !== undefined || isWrong(needs)) return [];
    const detail = `is not set, and ${has} is`;
    return [{ check: `setting ${needs}`, status: 'failed', detail, advice: 'set both or neither' }];
  });
  const slips = variables.flatMap((name): Finding[] => {
    const meant = NAMES.find((known) => !variables.includes(known) && isSlipOf(name, known));
    if (NAMES.includes(name) || meant === undefined) return [];
    const advice = `if ${meant} is meant, call it so`;
    return [{ check: `setting ${name}`, status: 'warning', detail: 'is read by nobody', advice }];
  });
  const findings = [...wrong, ...halves, ...slips];
  if (findings.length > 0) return findings;
  return [{ check: 'settings', status: 'ok', detail: 'what is set is as it should be' }];
}
