package org.ds2edge.android;

import android.Manifest;
import android.app.Activity;
import android.content.Context;
import android.content.pm.PackageManager;

/** The permission to use the microphone. */
public final class MicrophonePermission {
    private MicrophonePermission() {}

    public static boolean isGranted(Context context) {
        return context.checkSelfPermission(Manifest.permission.RECORD_AUDIO)
                == PackageManager.PERMISSION_GRANTED;
    }

    /** Asks the user. The answer comes to {@link Activity#onRequestPermissionsResult}. */
    public static void request(Activity activity, int requestCode) {
        activity.requestPermissions(
                new String[] {Manifest.permission.RECORD_AUDIO}, requestCode);
    }
}
