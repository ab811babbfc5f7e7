package androidx.test.runner;

import android.app.Instrumentation;

/** Stands in for the class of androidx.test:monitor, which only Google's repository has. */
public class MonitoringInstrumentation extends Instrumentation {
    protected void restoreUncaughtExceptionHandler() {}
}
