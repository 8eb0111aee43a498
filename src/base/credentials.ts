import { InputError, type InputIssue } from './errors.ts';
import type { Settings } from './settings.ts';

/** The keys of a job's input that open the stores. */
export interface CredentialKeys {
  supabase_url?: string | undefined;
  supabase_service_key?: string | undefined;
  qdrant_url?: string | undefined;
  qdrant_api_key?: string | undefined;
  hf_token?: string | undefined;
}

/** Their counterparts in the environment. */
export type CredentialSettings = Partial<
  Pick<Settings, 'SUPABASE_URL' | 'SUPABASE_SERVICE_ROLE_KEY' | 'QDRANT_URL' | 'QDRANT_API_KEY' | 'HF_TOKEN'>
>;

export interface SupabaseCredentials {
  url: string;
  key: string;
}

interface QdrantCredentials {
  url: string;
  /** Absent: the server takes no key. */
  apiKey?: string;
}

export interface Credentials {
  supabase: SupabaseCredentials;
  qdrant: QdrantCredentials;
  hfToken: string | undefined;
}

type Found<T> = { credentials: T } | { issue: InputIssue };

/**
 * What a job with a database row needs to reach both stores. Each address and its key are a pair from one source, the
 * input or else the environment: a key of the environment is never sent to an address of an input.
 * @throws InputError that names everything to set, before anything is read.
 */
export function resolveCredentials(input: CredentialKeys, settings: CredentialSettings): Credentials {
  const supabase = findSupabase(input, settings);
  const qdrant = findQdrant(input, settings);
  if ('issue' in supabase || 'issue' in qdrant) {
    throw new InputError([supabase, qdrant].flatMap((found) => ('issue' in found ? [found.issue] : [])));
  }
  return {
    supabase: supabase.credentials,
    qdrant: qdrant.credentials,
    hfToken: input.hf_token ?? settings.HF_TOKEN,
  };
}

/**
 * Supabase alone, by the same rule, for a job that needs no other store.
 * @param keyName what the input calls the key.
 * @throws InputError that names what to set.
 */
export function resolveSupabase(
  input: CredentialKeys,
  settings: CredentialSettings,
  keyName: string,
): SupabaseCredentials {
  const found = findSupabase(input, settings, keyName);
  if ('issue' in found) throw new InputError([found.issue]);
  return found.credentials;
}

/** Supabase alone, by the same rule; undefined where it is not set up. For a job that may do without. */
export function optionalSupabase(
  input: CredentialKeys,
  settings: CredentialSettings,
): SupabaseCredentials | undefined {
  const found = findSupabase(input, settings);
  return 'issue' in found ? undefined : found.credentials;
}

function findSupabase(
  input: CredentialKeys,
  settings: CredentialSettings,
  keyName = 'supabase_service_key',
): Found<SupabaseCredentials> {
  const names = { url: 'supabase_url', key: keyName };
  if (input.supabase_url !== undefined || input.supabase_service_key !== undefined) {
    return pair(input.supabase_url, input.supabase_service_key, names);
  }
  const variables = { url: 'SUPABASE_URL', key: 'SUPABASE_SERVICE_ROLE_KEY' };
  if (settings.SUPABASE_URL !== undefined || settings.SUPABASE_SERVICE_ROLE_KEY !== undefined) {
    return pair(settings.SUPABASE_URL, settings.SUPABASE_SERVICE_ROLE_KEY, variables);
  }
  return neither(names, variables);
}

/** An address without a key is a server that takes none; the other source's key is not sent to it either. */
function findQdrant(input: CredentialKeys, settings: CredentialSettings): Found<QdrantCredentials> {
  const names = { url: 'qdrant_url', key: 'qdrant_api_key' };
  if (input.qdrant_url !== undefined || input.qdrant_api_key !== undefined) {
    return withoutEmptyKey(pair(input.qdrant_url, input.qdrant_api_key ?? '', names));
  }
  const variables = { url: 'QDRANT_URL', key: 'QDRANT_API_KEY' };
  if (settings.QDRANT_URL !== undefined || settings.QDRANT_API_KEY !== undefined) {
    return withoutEmptyKey(pair(settings.QDRANT_URL, settings.QDRANT_API_KEY ?? '', variables));
  }
  return neither(names, variables);
}

function withoutEmptyKey(found: Found<SupabaseCredentials>): Found<QdrantCredentials> {
  if ('issue' in found) return found;
  const { url, key } = found.credentials;
  return { credentials: key === '' ? { url } : { url, apiKey: key } };
}

interface PairNames {
  url: string;
  key: string;
}

function pair(
  url: string | undefined,
  key: string | undefined,
  names: PairNames,
): Found<SupabaseCredentials> {
  if (url !== undefined && key !== undefined) return { credentials: { url, key } };
  const [missing, given] = url === undefined ? [names.url, names.key] : [names.key, names.url];
  return {
    issue: { key: missing, message: `is missing; ${given} is set, and the two are only taken together` },
  };
}

function neither(names: PairNames, variables: PairNames): { issue: InputIssue } {
  const message =
    `is missing; give ${names.url} and ${names.key} in the input, ` +
    `or set ${variables.url} and ${variables.key} in the environment`;
  return { issue: { key: names.url, message } };
}
