/**
 * A package of the Level ecosystem on Varve: quadstore keeps RDF statements in six orders in any abstract-level database. Three flights are stored as
 * nine statements and asked for by origin, by carrier, and by what is known of one; a sublevel of the same database holds settings beside them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Pattern, Quadstore, type StoreOpts } from 'quadstore'
import { DataFactory } from 'rdf-data-factory'
import { VarveLevel } from 'varve/level'

const base = 'https://example.org/'
const rdf = new DataFactory()
const name = (word: string): ReturnType<typeof rdf.namedNode> => rdf.namedNode(base + word)

const folder = mkdtempSync(join(tmpdir(), 'varve-level-'))
try {
  const db = new VarveLevel(folder)
  const graph = new Quadstore({ backend: db as unknown as StoreOpts['backend'], dataFactory: rdf }) // its types want optional fields looser than ours
  await graph.open()

  const flights = [
    { flight: 'UA1545', origin: 'EWR', carrier: 'United' },
    { flight: 'UA1714', origin: 'LGA', carrier: 'United' },
    { flight: 'B6725', origin: 'JFK', carrier: 'JetBlue' },
  ]
  for (const { flight, origin, carrier } of flights) {
    await graph.multiPut([
      rdf.quad(name(flight), name('type'), name('Flight')),
      rdf.quad(name(flight), name('origin'), name(origin)),
      rdf.quad(name(flight), name('carrier'), name(carrier)),
    ])
  }

  /** One term of each statement that matches. */
  const find = async (term: 'subject' | 'object', pattern: Pattern): Promise<string> => {
    const { items } = await graph.get(pattern)
    return items.map(quad => quad[term].value.replace(base, '')).join(' ')
  }
  console.log(`from JFK: ${await find('subject', { predicate: name('origin'), object: name('JFK') })}`)
  console.log(`with United: ${await find('subject', { predicate: name('carrier'), object: name('United') })}`)
  console.log(`of UA1714: ${await find('object', { subject: name('UA1714') })}`)

  const settings = db.sublevel<string, { home: string }>('settings', { valueEncoding: 'json' })
  await settings.put('ada', { home: 'LGA' })
  console.log(`ada starts at ${settings.getSync('ada')?.home}`)
  await graph.close() // and the database with it
} finally {
  rmSync(folder, { recursive: true, force: true })
}
