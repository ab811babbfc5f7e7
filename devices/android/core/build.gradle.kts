// The core: plain Java without Android. pom.xml builds and tests the same sources with Maven.
plugins {
    `java-library`
}

group = "org.ds2edge"
version = "0.1.0"

java {
    // Byte code of Java 8: Android 7 runs it, and so does any JVM.
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
}

dependencies {
    testImplementation("org.junit.jupiter:junit-jupiter:5.11.4")
    testRuntimeOnly("org.junit.platform:junit-platform-launcher")
}

tasks.test {
    useJUnitPlatform()
}
