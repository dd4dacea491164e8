/** Changes the catalog view in the worker: one durable transaction per change of the file set, never on the path of a write. */
import { loadChecksums } from '../codec/xxh64.ts'
import type { CatalogChange, TaskPlace } from '../env/environment.ts'

export interface ViewInput {
  readonly folder: string
  readonly change: CatalogChange
}

export async function changeView(input: ViewInput, place: TaskPlace): Promise<void> {
  await loadChecksums()
  const view = await place.catalogs.open(input.folder)
  try {
    view.change(input.change)
  } finally {
    await view.close()
  }
}
