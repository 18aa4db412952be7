// Walls that the server keeps: a person's own, and those that are shared.

import { get, put, remove } from '../api/client';
import type { WallListing } from '../api/types';
import { automatic, type Tile } from './wall';

/** A wall that is being arranged. `revision` 0 is a new one. */
export interface Draft {
  id: string;
  revision: number;
  name: string;
  shared: boolean;
  columns: number;
  tiles: Tile[];
}

export class Walls {
  all: WallListing[] = $state.raw([]);
  loaded = $state(false);

  async load(): Promise<void> {
    this.all = (await get<{ walls: WallListing[] }>('/api/v1/walls')).walls;
    this.loaded = true;
  }

  find(id: string): WallListing | null {
    return this.all.find((wall) => wall.id === id) ?? null;
  }

  async save({ id, ...wall }: Draft): Promise<void> {
    const { revision } = await put<{ revision: number }>(`/api/v1/walls/${id}`, wall);
    // It is saved, whether or not the list comes.
    const saved = { hidden: 0, person: null, ...this.find(id), ...wall, id, revision, changeable: true, changed_at: Date.now() };
    this.all = [...this.all.filter((each) => each.id !== id), saved];
    await this.load().catch(() => undefined);
  }

  async remove(id: string): Promise<void> {
    await remove(`/api/v1/walls/${id}`);
    this.all = this.all.filter((wall) => wall.id !== id);
  }
}

/** What begins as a wall of one's own: a copy of this one, or all cameras. */
export function draftOf(wall: WallListing | null, cameras: readonly string[], own: boolean): Draft {
  if (wall && own) {
    const { id, revision, name, shared, columns, tiles } = wall;
    return { id, revision, name, shared, columns, tiles };
  }
  const { columns, tiles } = wall ?? automatic(cameras);
  return { id: newId(), revision: 0, name: wall ? `${wall.name} (copy)` : 'My wall', shared: false, columns, tiles };
}

/** What somebody else changed meanwhile is kept beside theirs. */
export const copyOf = (draft: Draft): Draft => ({ ...draft, id: newId(), revision: 0, name: `${draft.name} (copy)`, shared: false });

function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `wall_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
