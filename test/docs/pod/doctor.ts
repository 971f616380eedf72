// `@externalname/doctor` as code in a pod sees it: its nameservers are the cluster's.
import * as doctor from '@externalname/doctor';
import { place } from './place.ts';

export * from '@externalname/doctor';

const { diagnose: diagnoseService, traceName: trace, measureName: measure, watchService: watch } = doctor;
const pod = () => ({ nameservers: place.dns.nameservers });

/** The servers of a test have loopback addresses, which a diagnosis refuses unless it names them. */
export function diagnose(options: doctor.DiagnoseOptions): Promise<doctor.Diagnosis> {
  return diagnoseService({ ...pod(), allowedNetworks: place.allowedNetworks, ...options });
}

export function traceName(options: doctor.TraceNameOptions): Promise<doctor.NameTrace> {
  return trace({ ...pod(), ...options });
}

export function measureName(options: doctor.MeasureNameOptions): Promise<doctor.NameMeasurement> {
  return measure({ ...pod(), ...options });
}

export function watchService(options: doctor.WatchServiceOptions): Promise<void> {
  return watch({ ...pod(), ...options });
}
