"""Headers of generated images: the elements that a scanner writes, without pixels."""

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)

UID_ROOT = "1.2.826.0.1.3680043.8.498.77"
PRIVATE_GROUP = 0x0019
PRIVATE_CREATOR = "BENCHMARK SCANNER 1.0"
FRAME_TYPE = ["ORIGINAL", "PRIMARY", "AXIAL"]


def mr_header(series: int, number: int) -> Dataset:
    """Return the header of 128 x 128 MR image `number` of a series (both from 1)."""
    dataset = _image(1, series, number, modality="MR", pixels=128)
    _set(
        dataset,
        SOPClassUID=MRImageStorage,
        ImageType=["ORIGINAL", "PRIMARY", "M", "ND"],
        ScanningSequence="EP",
        SequenceVariant=["SK", "SS"],
        ScanOptions=["PFP", "FS"],
        MRAcquisitionType="2D",
        SequenceName="*epfid2d1_64",
        AngioFlag="N",
        RepetitionTime="2000",
        EchoTime="30",
        NumberOfAverages="1",
        ImagingFrequency="123.252",
        ImagedNucleus="1H",
        EchoNumbers="1",
        MagneticFieldStrength="3",
        SpacingBetweenSlices="3.3",
        NumberOfPhaseEncodingSteps="128",
        EchoTrainLength="63",
        PercentSampling="100",
        PercentPhaseFieldOfView="100",
        PixelBandwidth="2298",
        TransmitCoilName="Body",
        AcquisitionMatrix=[128, 0, 0, 128],
        InPlanePhaseEncodingDirection="COL",
        FlipAngle="80",
        VariableFlipAngleFlag="N",
        SAR="0.0427",
        dBdt="0",
    )
    return dataset


def ct_header(series: int, number: int) -> Dataset:
    """Return the header of 512 x 512 CT image `number` of a series (both from 1)."""
    dataset = _image(2, series, number, modality="CT", pixels=512)
    _set(
        dataset,
        SOPClassUID=CTImageStorage,
        ImageType=FRAME_TYPE,
        ScanOptions="HELICAL MODE",
        KVP="120",
        DataCollectionDiameter="500",
        ReconstructionDiameter="360",
        DistanceSourceToDetector="1085.6",
        DistanceSourceToPatient="595",
        GantryDetectorTilt="0",
        TableHeight="145",
        RotationDirection="CW",
        ExposureTime="500",
        XRayTubeCurrent="240",
        Exposure="120",
        FilterType="BODY FILTER",
        GeneratorPower="32000",
        FocalSpots="1.2",
        ConvolutionKernel="STANDARD",
        SpiralPitchFactor=0.984,
        RescaleIntercept="-1024",
        RescaleSlope="1",
        RescaleType="HU",
    )
    return dataset


def enhanced_ct_header(frames: int) -> Dataset:
    """Return the header of an Enhanced CT image with `frames` frames of 512 x 512."""
    dataset = _image(3, 1, 1, modality="CT", pixels=512)
    for keyword in ("PixelSpacing", "SliceThickness", "WindowCenter", "WindowWidth"):
        delattr(dataset, keyword)
    _set(
        dataset,
        SOPClassUID=EnhancedCTImageStorage,
        ImageType=[*FRAME_TYPE, "NONE"],
        NumberOfFrames=frames,
        ContentQualification="PRODUCT",
        PresentationLUTShape="IDENTITY",
        BurnedInAnnotation="NO",
        LossyImageCompression="00",
        SharedFunctionalGroupsSequence=[
            _item(
                PixelMeasuresSequence=[_item(PixelSpacing=[0.7, 0.7], SliceThickness="1.25")],
                PlaneOrientationSequence=[_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
                PixelValueTransformationSequence=[
                    _item(RescaleIntercept="-1024", RescaleSlope="1", RescaleType="HU")
                ],
            )
        ],
        PerFrameFunctionalGroupsSequence=[_frame(number) for number in range(1, frames + 1)],
    )
    return dataset


def _frame(number: int) -> Dataset:
    return _item(
        FrameContentSequence=[
            _item(StackID="1", InStackPositionNumber=number, DimensionIndexValues=[1, number])
        ],
        PlanePositionSequence=[_item(ImagePositionPatient=[-179.3, -179.3, 1.25 * number])],
        CTImageFrameTypeSequence=[_item(FrameType=[*FRAME_TYPE, "NONE"])],
    )


def _image(study: int, series: int, number: int, *, modality: str, pixels: int) -> Dataset:
    """Return the elements of all images: patient, study, equipment, plane and pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.is_little_endian = True
    dataset.is_implicit_VR = False
    time = f"10{number // 60 % 60:02}{number % 60:02}.000000"
    _set(
        dataset,
        SpecificCharacterSet="ISO_IR 100",
        SOPInstanceUID=f"{UID_ROOT}.{study}.{series}.{number}",
        StudyInstanceUID=f"{UID_ROOT}.{study}",
        SeriesInstanceUID=f"{UID_ROOT}.{study}.{series}",
        FrameOfReferenceUID=f"{UID_ROOT}.{study}.{series}.0",
        StudyDate="20250102",
        SeriesDate="20250102",
        AcquisitionDate="20250102",
        ContentDate="20250102",
        StudyTime="095900.000000",
        SeriesTime="100000.000000",
        AcquisitionTime=time,
        ContentTime=time,
        AccessionNumber=f"A{study:06}",
        Modality=modality,
        Manufacturer="MADE FOR MEASUREMENT",
        InstitutionName="Department of Measurement",
        ReferringPhysicianName="Referring^Physician",
        StationName="SCANNER1",
        StudyDescription=f"Benchmark {modality}",
        SeriesDescription=f"Series {series} of the benchmark",
        ManufacturerModelName="Model 1",
        PatientName=f"Benchmark^{modality}",
        PatientID=f"BENCH-{study}",
        PatientBirthDate="19700101",
        PatientSex="O",
        PatientAge="055Y",
        PatientWeight="70",
        BodyPartExamined="HEAD",
        SliceThickness="3",
        DeviceSerialNumber="000001",
        SoftwareVersions="1.0",
        ProtocolName="benchmark",
        PatientPosition="HFS",
        StudyID=str(study),
        SeriesNumber=series,
        AcquisitionNumber=1,
        InstanceNumber=number,
        ImagePositionPatient=[-179.3, -179.3, 3.3 * number],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PositionReferenceIndicator="SN",
        SliceLocation=f"{3.3 * number:.1f}",
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=pixels,
        Columns=pixels,
        PixelSpacing=[0.7, 0.7],
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        WindowCenter="1064",
        WindowWidth="400",
        ReferencedImageSequence=[
            _item(
                ReferencedSOPClassUID=MRImageStorage if modality == "MR" else CTImageStorage,
                ReferencedSOPInstanceUID=f"{UID_ROOT}.{study}.0.{view}",
            )
            for view in range(1, 4)
        ],
    )
    private = dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    private.add_new(0x08, "CS", "IMAGE NUM 4")
    private.add_new(0x09, "LO", "1.0")
    private.add_new(0x0A, "US", number)
    private.add_new(0x0B, "DS", "0.0427")
    private.add_new(0x10, "OB", bytes(range(256)))
    return dataset


def _item(**elements: object) -> Dataset:
    item = Dataset()
    _set(item, **elements)
    return item


def _set(dataset: Dataset, **elements: object) -> None:
    """Set elements by DICOM keyword; a list of datasets becomes a sequence."""
    for keyword, value in elements.items():
        if isinstance(value, list) and isinstance(value[0], Dataset):
            setattr(dataset, keyword, Sequence(value))
        else:
            setattr(dataset, keyword, value)
