import { createHash } from 'node:crypto';

import { InputError } from '../../base/errors.ts';
import type { ModelChoice } from '../requests/model-choice.ts';
import type { Lookup, ModelRow } from './lookup.ts';
import { slugOf } from './slug.ts';

/** The model that a request means, found. */
export interface ChosenModel {
  /** For the rows that name their model. */
  id: string | undefined;
  model_type: string;
  embedding_dim: number;
  checkpoint_url: string | undefined;
  /** Stands for {model} in the names of collections: no two models share theirs. */
  slug: string;
}

/** @throws InputError where there is no such model, or none or several are active. */
export async function chooseModel(
  choice: ModelChoice,
  lookup: Pick<Lookup, 'model' | 'activeModels'>,
): Promise<ChosenModel> {
  const { model_type: type, embedding_dim: dim, checkpoint_url: checkpoint, id, name } = choice;
  if (type !== undefined && dim !== undefined) {
    const slug = name === undefined ? undefined : slugOf(name);
    return {
      id,
      model_type: type,
      embedding_dim: dim,
      checkpoint_url: checkpoint,
      slug: slug ?? defaultSlug(type, checkpoint),
    };
  }
  if (id !== undefined) {
    const row = await lookup.model(id);
    if (row === undefined)
      throw refused('model.id', 'is no model; expected the id of a row of embedding_models');
    return fromRow(row);
  }
  return fromRow(await activeModel(lookup));
}

async function activeModel(lookup: Pick<Lookup, 'activeModels'>): Promise<ModelRow> {
  const [row, ...more] = await lookup.activeModels();
  if (row === undefined) {
    const message =
      'is missing; no model is active, so expected an id (or a row of embedding_models with is_matching_active)';
    throw refused('model.id', message);
  }
  if (more.length > 0) {
    const count = more.length + 1;
    throw refused('model.id', `is missing; ${count} models are active, so expected the id of one of them`);
  }
  return row;
}

/** A trained model goes by its own name: its vectors are not those of the kind that it was trained from. */
function fromRow(row: ModelRow): ChosenModel {
  const checkpoint = row.checkpoint_url ?? undefined;
  return {
    id: row.id,
    model_type: row.model_type,
    embedding_dim: row.embedding_dim,
    checkpoint_url: checkpoint,
    slug:
      (checkpoint === undefined ? undefined : slugOf(row.name)) ?? defaultSlug(row.model_type, checkpoint),
  };
}

const HASH_CHARS = 8;

/** The kind, and where it is a checkpoint without a name also which one: its address without what signs it. */
function defaultSlug(type: string, checkpoint: string | undefined): string {
  const kind = slugOf(type) ?? 'model';
  if (checkpoint === undefined) return kind;
  const bare = checkpoint.replace(/[?#].*$/s, '');
  return `${kind}_${createHash('sha256').update(bare).digest('hex').slice(0, HASH_CHARS)}`;
}

function refused(key: string, message: string): InputError {
  return new InputError([{ key, message }]);
}
