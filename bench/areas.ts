/** All areas, in the order in which they run. */
import type { Area } from './area.ts'
import { jobsArea } from './jobs/area.ts'
import { logsArea } from './logs/area.ts'
import { storesArea } from './store/area.ts'

export const areas: readonly Area[] = [logsArea, storesArea, jobsArea]
